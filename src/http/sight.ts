import { NotFound } from '../domain/errors.ts';
import type { CourseId, ExternalId, GroupId } from '../domain/ids.ts';
import type { Learner } from '../domain/learner.ts';
import type { Course, Group, Structure } from '../domain/structure.ts';
import { findCourses, findGroup, findLearners } from '../run/find.ts';
import { readCourses, readStructure } from '../store/structure.ts';
import type { HttpContext } from './context.ts';
import { type Principal, seesAll } from './principal.ts';

/** What one who asks may see of groups, learners and courses (R29). What is not seen is not found. */
export interface Sight {
  readonly structure: Structure;
  readonly courses: ReadonlyMap<CourseId, Course>;
  /** null = all. */
  readonly groups: ReadonlySet<GroupId> | null;
  readonly seesGroup: (id: GroupId) => boolean;
  readonly seesCourse: (id: CourseId) => boolean;
  readonly seesLearner: (learner: Learner) => boolean;
}

/**
 * Administrators and operators see everything. An instructor sees the groups that name him, those below, their learners and
 * the courses that these groups give. A reseller sees the groups that are linked to a subenvironment of his, and the
 * courses in it that he created; no learners.
 */
export async function sightOf({ store }: HttpContext, principal: Principal): Promise<Sight> {
  const [structure, courses] = [await readStructure(store), await readCourses(store)];
  if (seesAll(principal.role)) {
    return {
      structure,
      courses,
      groups: null,
      seesGroup: (id) => structure.group(id) !== undefined,
      seesCourse: (id) => courses.has(id),
      seesLearner: () => true,
    };
  }
  const [groups, mine] =
    principal.role === 'reseller' ? ofReseller(principal, structure, courses) : ofInstructor(principal, structure);
  return {
    structure,
    courses,
    groups,
    seesGroup: (id) => groups.has(id),
    seesCourse: (id) => mine.has(id),
    seesLearner: ({ memberships }) =>
      principal.role === 'instructor' && memberships.some(({ group }) => groups.has(group)),
  };
}

function ofInstructor({ login }: Principal, structure: Structure): [Set<GroupId>, Set<CourseId>] {
  const instructed = [...structure.groups].filter(({ instructors }) =>
    instructors.some((name) => name.trim().normalize('NFC').toLowerCase() === login),
  );
  const groups = new Set(instructed.flatMap(({ id }) => structure.below(id)));
  return [groups, new Set([...groups].flatMap((id) => structure.courses(id)))];
}

function ofReseller(
  { owner, subenvironments }: Principal,
  structure: Structure,
  courses: ReadonlyMap<CourseId, Course>,
): [Set<GroupId>, Set<CourseId>] {
  const has = (name: string | undefined) => name !== undefined && subenvironments.includes(name);
  const groups = [...structure.groups].filter((group) => group.subenvironments.some(has)).map(({ id }) => id);
  const mine = [...courses.values()]
    .filter(({ createdBy, subenvironment }) => createdBy === owner && has(subenvironment))
    .map(({ id }) => id);
  return [new Set(groups), new Set(mine)];
}

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
