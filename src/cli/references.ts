import { NotFound } from '../domain/errors.ts';
import { type CourseId, type ExternalId, emailKey, externalId, type LearnerId } from '../domain/ids.ts';
import type { Learner } from '../domain/learner.ts';
import { type Course, fold, type Group, type Structure } from '../domain/structure.ts';
import { nearest } from '../settings/nearest.ts';
import { readFeedDoc } from '../store/feeds.ts';
import { learnersByEmail, learnersByExternalId, learnersById } from '../store/learners.ts';
import type { FeedDoc, RunDoc } from '../store/models.ts';
import { readRun } from '../store/runs.ts';
import type { Store } from '../store/store.ts';
import { readCourses, readStructure } from '../store/structure.ts';

/** What a command calls a group by, made sure of. @throws {NotFound} that names the near miss. */
export async function groupOf(store: Store, text: string): Promise<Group> {
  const structure = await readStructure(store);
  const id = externalId(text);
  const found = (id && structure.byExternalId(id)) ?? structure.group(numberOf(text) as never);
  if (found) return found;
  throw new NotFound(`There is no group ${text}; nothing was changed. ${groupHint(structure, id)}`);
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
  const byExternalId = new Map([...courses.values()].flatMap((one) => (one.externalId ? [[one.externalId, one]] : [])));
  return texts.map((text) => {
    const id = externalId(text);
    const found = (id && byExternalId.get(id)) ?? courses.get(numberOf(text) as CourseId);
    if (found) return found;
    const near = [...byExternalId.values()].find((one) => id && fold(one.externalId as string) === fold(id));
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

const CHUNK = 5_000;

/** Learners by what each is called by: External ID first, then `id:N`, then e-mail address. Unknown ones are left out. */
export async function findLearners(store: Store, texts: readonly string[]): Promise<Map<string, Learner>> {
  const found = new Map<string, Learner>();
  for (let at = 0; at < texts.length; at += CHUNK) {
    const some = texts.slice(at, at + CHUNK);
    const byExternalId = await learnersByExternalId(
      store,
      some.flatMap((text) => externalId(text) ?? []),
    );
    const ids = some.flatMap((text) => numberOf(text) ?? []) as LearnerId[];
    const byId = ids.length > 0 ? await learnersById(store, ids) : new Map<LearnerId, Learner>();
    const emails = some.filter((text) => text.includes('@'));
    const byEmail = emails.length > 0 ? await learnersByEmail(store, emails) : new Map<string, Learner>();
    for (const text of some) {
      const learner =
        byExternalId.get(externalId(text) as ExternalId) ??
        byId.get(numberOf(text) as LearnerId) ??
        byEmail.get(emailKey(text));
      if (learner) found.set(text, learner);
    }
  }
  return found;
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

/** `id:12` → 12. */
function numberOf(text: string): number | undefined {
  const digits = /^id:([1-9][0-9]{0,14})$/.exec(text.trim())?.[1];
  return digits === undefined ? undefined : Number(digits);
}
