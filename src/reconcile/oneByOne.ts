import type { LearnerId } from '../domain/ids.ts';
import { isPermanent, isTransient } from '../store/failures.ts';
import type { OutboxDoc } from '../store/models.ts';
import { beginOne, endOne } from '../store/outbox.ts';
import type { Services } from '../store/services.ts';
import { WorkerDied } from '../store/setAside.ts';

/** Tries of a whole batch, those that killed their worker included, after which its learners are taken one by one. */
export const TRIES_TOGETHER = 4;
/** Tries of one learner, after which it is set aside. */
const TRIES_ALONE = 2;

/**
 * Works at one learner of a batch after the other. What fails for good, or ends its worker each time, is set aside and
 * does not stop the others (R27). Goes on at the learner where an earlier try came to its end, since those before it
 * are done. False: another worker has completed the entry.
 */
export async function oneByOne<T extends { readonly learner: LearnerId }>(
  { store }: Services,
  entry: OutboxDoc,
  items: readonly T[],
  work: (item: T) => Promise<void>,
  putAside: (item: T, error: unknown) => Promise<void>,
): Promise<boolean> {
  const first = items.findIndex(({ learner }) => learner === entry.doing?.learner);
  for (const item of items.slice(Math.max(first, 0))) {
    const tries = await beginOne(store, entry, item.learner);
    if (tries === 0) return false;
    if (tries > TRIES_ALONE) {
      await putAside(item, new WorkerDied(tries - 1));
      continue;
    }
    try {
      await work(item);
    } catch (error) {
      if (isTransient(error)) await endOne(store, entry).catch(() => undefined);
      if (!isPermanent(error) && (isTransient(error) || tries < TRIES_ALONE)) throw error;
      await putAside(item, error);
    }
  }
  return true;
}
