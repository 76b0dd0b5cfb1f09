import type { LearnerId, RunId } from '../domain/ids.ts';
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

/**
 * A try at an entry's work begins, and is counted, so that work which ends its worker each time is noticed (R27); null =
 * the entry is gone. Not waited for until it is on disk: the transaction that follows is, and with it all that was
 * written before.
 */
export function beginEntry(store: Store, _id: OutboxDoc['_id'], job: OutboxDoc['job']): Promise<OutboxDoc | null> {
  return store.outbox.findOneAndUpdate(
    { _id, job },
    { $inc: { tries: 1 } },
    { returnDocument: 'after', writeConcern: { w: 1 } },
  );
}

/** Work on one learner of an entry begins: how often it has begun without coming to its end. 0 = the entry is gone. */
export async function beginOne(store: Store, { _id, job }: OutboxDoc, learner: LearnerId): Promise<number> {
  const tries = { $cond: [{ $eq: ['$doing.learner', learner] }, { $add: ['$doing.tries', 1] }, 1] };
  const entry = await store.outbox.findOneAndUpdate({ _id, job }, [{ $set: { doing: { learner, tries } } }], {
    returnDocument: 'after',
  });
  return entry?.doing?.tries ?? 0;
}

/** The learner is not to blame for how this try came to its end. */
export async function endOne(store: Store, { _id, job }: OutboxDoc): Promise<void> {
  await store.outbox.updateOne({ _id, job, doing: { $exists: true } }, { $set: { 'doing.tries': 0 } });
}

const FIRST_DELAY = 500;
const LAST_DELAY = 300_000;

/**
 * A job has failed as a whole: its entry says so, and the relay brings it back after a delay that doubles with each
 * try, up to five minutes, with jitter of a tenth. `random` in [0, 1).
 */
export async function entryFailed(
  store: Store,
  { _id, job }: Pick<OutboxDoc, '_id' | 'job'>,
  error: NonNullable<OutboxDoc['error']>,
  { now, random }: { now: Date; random: number },
): Promise<void> {
  const entry = await store.outbox.findOne({ _id, job }, { projection: { tries: 1 } });
  if (!entry) return;
  const delay = Math.min(FIRST_DELAY * 2 ** entry.tries, LAST_DELAY) * (0.95 + random / 10);
  await store.outbox.updateOne({ _id, job }, { $set: { error, at: new Date(now.getTime() + delay) } });
}
