import type { RunId } from '../domain/ids.ts';
import type { OutboxDoc } from './models.ts';
import type { Store } from './store.ts';

/** Range over the documents of one run in a collection whose `_id` begins with `run`: by the `_id` index alone. */
export function ofRun(run: RunId): { _id: { $gte: never; $lt: never } } {
  return { _id: { $gte: { run } as never, $lt: { run: `${run} ` } as never } };
}

/** Entries of a run; none left = all of its work is done. */
export async function hasWork(store: Store, run: RunId, job?: OutboxDoc['job']): Promise<boolean> {
  const filter = { ...ofRun(run), ...(job && { job }) };
  return (await store.outbox.findOne(filter, { projection: { _id: 1 } })) !== null;
}

/** Entries whose time has come, oldest first. */
export function dueEntries(store: Store, now: Date, limit: number): Promise<OutboxDoc[]> {
  return store.outbox
    .find({ at: { $lte: now } })
    .sort({ at: 1 })
    .limit(limit)
    .toArray();
}

/** The entries are enqueued: look at those that are still there, and still wait for the same job, at that time. */
export async function postpone(store: Store, entries: readonly OutboxDoc[], at: Date): Promise<void> {
  if (entries.length === 0) return;
  await store.outbox.bulkWrite(
    entries.map(({ _id, job }) => ({ updateOne: { filter: { _id, job }, update: { $set: { at } } } })),
    { ordered: false },
  );
}

/** Work that is enqueued by the one who writes it: the relay looks this much later, ms, whether it is still there. */
export const ENQUEUED_BY_WRITER = 5_000;
