import { NotFound } from '../domain/errors.ts';
import type { ExternalId } from '../domain/ids.ts';
import type { Learner } from '../domain/learner.ts';
import type { Course, Group } from '../domain/structure.ts';
import { findCourses, findGroup, findLearners } from '../run/find.ts';
import type { Sight } from '../run/sight.ts';
import type { HttpContext } from './context.ts';

export { type Sight, sightOf } from '../run/sight.ts';

/** @throws {NotFound} for what is not there and for what is not seen; its text reaches those alone who see everything. */
export function groupIn(sight: Sight, text: string): Group {
  const group = findGroup(sight.structure, text);
  if (group && sight.seesGroup(group.id)) return group;
  const near = sight.structure.nearMiss(text as ExternalId);
  throw new NotFound(`There is no group ${text}; nothing was changed.${near ? ` Is ${near.externalId} meant?` : ''}`);
}

export function coursesIn(sight: Sight, texts: readonly string[]): Course[] {
  return findCourses(sight.courses, texts).map((course, at) => {
    if (course && sight.seesCourse(course.id)) return course;
    throw new NotFound(`There is no course ${texts[at]}; nothing was changed.`);
  });
}

export function courseIn(sight: Sight, text: string): Course {
  return coursesIn(sight, [text])[0] as Course;
}

export async function learnerIn({ store }: HttpContext, sight: Sight, text: string): Promise<Learner> {
  const learner = (await findLearners(store, [text])).get(text);
  if (learner && sight.seesLearner(learner)) return learner;
  throw new NotFound(`There is no learner ${text}; nothing was changed.`);
}
