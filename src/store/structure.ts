import type { CourseId } from '../domain/ids.ts';
import { type Course, type Group, Structure } from '../domain/structure.ts';
import type { BatchId, CourseDoc, GroupDoc, MetaDoc } from './models.ts';
import { type Session, type Store, within } from './store.ts';

const compiled = new WeakMap<Store, Structure>();

/** The group tree as it is now (within the session's snapshot); compiled again only where its revision differs. */
export async function readStructure(store: Store, session?: Session): Promise<Structure> {
  return compile(store, await store.meta.findOne({ _id: 'structure' }, within(session)), session);
}

/**
 * As `readStructure`, and no change of structure commits beside this transaction: of two the later begins again. For
 * those who settle learners that a change of structure could not see yet. Batches that are written side by side hold
 * different lanes of the fence, so that they do not hold up each other.
 */
export async function fenceStructure(store: Store, session: Session, { run, batch }: BatchId): Promise<Structure> {
  const _id = laneOf((Number(run.slice(1)) + batch) % FENCE_LANES);
  await store.meta.updateOne({ _id }, { $inc: { fence: 1 } }, { session, upsert: true });
  return readStructure(store, session);
}

/** More than there are batches written at once, and few enough for a change of structure to write to all of them. */
const FENCE_LANES = 8;

const laneOf = (lane: number) => `structure-fence-${lane}`;

async function compile(store: Store, meta: MetaDoc | null, session?: Session): Promise<Structure> {
  const revision = meta?.revision ?? 0;
  const known = compiled.get(store);
  if (known && known.revision === revision) return known;
  const docs = await store.groups.find({}, within(session)).toArray();
  const structure = new Structure(docs.map(toGroup), meta ?? {});
  compiled.set(store, structure);
  return structure;
}

/** What a change of groups did to External IDs: `gone`, where one went or changed; `came`, where new ones came alone. */
export type KeyChange = 'none' | 'came' | 'gone';

/** Every write to groups calls this in its transaction. */
export async function bumpStructure(store: Store, session: Session, { keys }: { keys: KeyChange }): Promise<void> {
  const fences = Array.from({ length: FENCE_LANES }, (_, lane) => ({ _id: laneOf(lane), $inc: { fence: 1 } }));
  const $inc = { revision: 1, keys: keys === 'none' ? 0 : 1, keysGone: keys === 'gone' ? 1 : 0 };
  const changes = [{ _id: 'structure', $inc }, ...fences];
  await store.meta.bulkWrite(
    changes.map(({ _id, $inc }) => ({ updateOne: { filter: { _id }, update: { $inc }, upsert: true } })),
    { session },
  );
}

export function toGroup({ _id, revision: _, ...rest }: GroupDoc): Group {
  return { id: _id, ...rest };
}

export function toCourse({ _id, ...rest }: CourseDoc): Course {
  return { id: _id, ...rest };
}

export async function readCourses(store: Store): Promise<Map<CourseId, Course>> {
  const docs = await store.courses.find().toArray();
  return new Map(docs.map((doc) => [doc._id, toCourse(doc)]));
}
