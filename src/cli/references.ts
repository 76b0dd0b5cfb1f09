import { NotFound } from '../domain/errors.ts';
import { type ExternalId, externalId } from '../domain/ids.ts';
import type { Learner } from '../domain/learner.ts';
import { type Course, fold, type Group, type Structure } from '../domain/structure.ts';
import { findCourses, findGroup, findLearners } from '../run/find.ts';
import { nearest } from '../settings/nearest.ts';
import { readFeedDoc } from '../store/feeds.ts';
import type { FeedDoc, RunDoc } from '../store/models.ts';
import { readRun } from '../store/runs.ts';
import type { Store } from '../store/store.ts';
import { readCourses, readStructure } from '../store/structure.ts';

/** What a command calls a group by, made sure of. @throws {NotFound} that names the near miss. */
export async function groupOf(store: Store, text: string): Promise<Group> {
  const structure = await readStructure(store);
  const found = findGroup(structure, text);
  if (found) return found;
  throw new NotFound(`There is no group ${text}; nothing was changed. ${groupHint(structure, externalId(text))}`);
}

function groupHint(structure: Structure, id: ExternalId | undefined): string {
  const near = id && structure.nearMiss(id);
  if (near) return `Is ${near.externalId} (${near.name}) meant?`;
  const named = [...structure.groups].find(({ name }) => name === id);
  if (named) return `A group of that name is ${named.externalId ?? `id:${named.id}`}.`;
  return '`muster groups tree` lists all.';
}

export async function courseOf(store: Store, text: string): Promise<Course> {
  return (await coursesOf(store, [text]))[0] as Course;
}

export async function coursesOf(store: Store, texts: readonly string[]): Promise<Course[]> {
  const courses = await readCourses(store);
  const found = findCourses(courses, texts);
  return texts.map((text, at) => {
    const course = found[at];
    if (course) return course;
    const id = externalId(text);
    const near = [...courses.values()].find((one) => id && one.externalId && fold(one.externalId) === fold(id));
    const hint = near ? `Is ${near.externalId} (${near.name}) meant?` : '`muster courses list` lists all.';
    throw new NotFound(`There is no course ${text}; nothing was changed. ${hint}`);
  });
}

export async function learnerOf(store: Store, text: string): Promise<Learner> {
  const found = (await findLearners(store, [text])).get(text);
  if (found) return found;
  throw new NotFound(`There is no learner ${text}; nothing was changed. ${await learnerHint(store, text)}`);
}

/** @throws {NotFound} for the first that is unknown. */
export async function learnersOf(store: Store, texts: readonly string[]): Promise<Learner[]> {
  const found = await findLearners(store, texts);
  const unknown = texts.find((text) => !found.has(text));
  if (unknown !== undefined) await learnerOf(store, unknown);
  return [...new Map([...found.values()].map((learner) => [learner.id, learner])).values()];
}

/** How long to look for a near miss, ms. */
const HINT_TIME = 2_000;

/** Looks for an External ID that differs by letter case or zero-padding alone. */
async function learnerHint(store: Store, text: string): Promise<string> {
  const otherwise = '`muster learners list` lists all.';
  const id = externalId(text);
  if (id === undefined) return otherwise;
  const literal = fold(id).replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&');
  const padded = literal.replace(/(^|[^0-9])(?=[0-9])/g, '$10*');
  const near = await store.learners
    .findOne(
      { externalId: { $regex: `^${padded}$`, $options: 'i' } },
      { maxTimeMS: HINT_TIME, projection: { externalId: 1 } },
    )
    .catch(() => null);
  return near ? `Is ${near.externalId} meant?` : otherwise;
}

export async function feedOf(store: Store, name: string): Promise<FeedDoc> {
  const found = await readFeedDoc(store, name);
  if (found) return found;
  const names = await store.feeds.distinct('_id');
  const meant = nearest(name, names.map(String));
  throw new NotFound(
    `There is no feed ${name}; nothing was changed. ${meant ? `Is ${meant} meant?` : 'Make it with `muster feeds apply FILE.yaml`.'}`,
  );
}

export async function runOf(store: Store, id: string): Promise<RunDoc> {
  const found = await readRun(store, id as RunDoc['_id']);
  if (found) return found;
  throw new NotFound(`There is no run ${id}; nothing was changed. \`muster runs list\` lists the latest.`);
}
