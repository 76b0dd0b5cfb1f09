import type { CourseId } from '../domain/ids.ts';
import { type Course, type Group, Structure } from '../domain/structure.ts';
import type { CourseDoc, GroupDoc, MetaDoc } from './models.ts';
import { type Session, type Store, within } from './store.ts';

const compiled = new WeakMap<Store, Structure>();

/** The group tree as it is now (within the session's snapshot); compiled again only where its revision differs. */
export async function readStructure(store: Store, session?: Session): Promise<Structure> {
  return compile(store, await store.meta.findOne({ _id: 'structure' }, within(session)), session);
}

/**
 * As `readStructure`, and no change of structure commits beside this transaction: of two the later begins again. For
 * those who settle learners that a change of structure could not see yet.
 */
export async function fenceStructure(store: Store, session: Session): Promise<Structure> {
  const options = { session, upsert: true, returnDocument: 'after' } as const;
  const meta = await store.meta.findOneAndUpdate({ _id: 'structure' }, { $inc: { fence: 1 } }, options);
  return compile(store, meta, session);
}

async function compile(store: Store, meta: MetaDoc | null, session?: Session): Promise<Structure> {
  const revision = meta?.revision ?? 0;
  const known = compiled.get(store);
  if (known && known.revision === revision) return known;
  const docs = await store.groups.find({}, within(session)).toArray();
  const structure = new Structure(docs.map(toGroup), revision, meta?.keys ?? 0);
  compiled.set(store, structure);
  return structure;
}

/** Every write to groups calls this in its transaction. `keys`: an External ID came, went or changed. */
export async function bumpStructure(store: Store, session: Session, { keys }: { keys: boolean }): Promise<void> {
  await store.meta.updateOne(
    { _id: 'structure' },
    { $inc: { revision: 1, keys: keys ? 1 : 0 } },
    { upsert: true, session },
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
