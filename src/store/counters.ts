import type { RunId } from '../domain/ids.ts';
import type { Session, Store } from './store.ts';
import { within } from './store.ts';

/** Gives out `count` numbers that nobody has got before, the first of them returned. */
export async function reserve(
  store: Store,
  what: 'learners' | 'groups' | 'courses' | 'runs',
  count: number,
  session?: Session,
): Promise<number> {
  const doc = await store.meta.findOneAndUpdate(
    { _id: what },
    { $inc: { next: count } },
    { upsert: true, returnDocument: 'after', ...within(session) },
  );
  return (doc?.next ?? count) - count + 1;
}

export async function newRunId(store: Store): Promise<RunId> {
  return `r${await reserve(store, 'runs', 1)}` as RunId;
}
