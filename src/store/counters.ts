import type { RunId } from '../domain/ids.ts';
import type { Session, Store } from './store.ts';

/**
 * Gives out `count` numbers that nobody has got before, the first of them returned. Not waited for until it is on disk:
 * what bears the numbers is, and nothing reaches the disk before what was written earlier.
 */
export async function reserve(
  store: Store,
  what: 'learners' | 'groups' | 'courses' | 'runs' | 'access',
  count: number,
  session?: Session,
): Promise<number> {
  const doc = await store.meta.findOneAndUpdate(
    { _id: what },
    { $inc: { next: count } },
    { upsert: true, returnDocument: 'after', ...(session ? { session } : { writeConcern: { w: 1 } }) },
  );
  return (doc?.next ?? count) - count + 1;
}

export async function newRunId(store: Store): Promise<RunId> {
  return `r${await reserve(store, 'runs', 1)}` as RunId;
}
