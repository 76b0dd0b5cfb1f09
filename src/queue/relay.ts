import { dueEntries, postpone } from '../store/outbox.ts';
import type { Services } from '../store/services.ts';
import { withPatience } from './patience.ts';
import type { Queues } from './queues.ts';
import { runTraces } from './runTraces.ts';

/** Entries a tick. */
const AT_ONCE = 2_000;
/** After an entry was enqueued it is looked at again this much later, ms. */
const LOOK_AGAIN = 15_000;

/**
 * Fills the queue from the outbox: whatever waits in the database and is not in Redis is enqueued again. An emptied
 * Redis is noticed by the missing mark, a lost connection or a failed try by the queues' doubt: then everything is
 * enqueued at once.
 */
export async function relay({ store, clock }: Services, queues: Queues): Promise<number> {
  const now = clock.now();
  const all = queues.doubtful;
  queues.doubtful = false;
  try {
    const emptied = (await withPatience(queues.redis.set(`${queues.prefix}:filled`, '1', 'NX'))) === 'OK';
    if (all || emptied) await queues.limit();
    const entries = await dueEntries(store, all || emptied ? new Date(8.64e15) : now, all || emptied ? 0 : AT_ONCE);
    for (let at = 0; at < entries.length; at += AT_ONCE) {
      const some = entries.slice(at, at + AT_ONCE);
      const traces = await runTraces(
        store,
        some.map(({ _id }) => _id.run),
      );
      await queues.add(some.map(({ _id: { run, batch }, job }) => ({ run, batch, job, trace: traces.get(run) })));
      await postpone(store, some, new Date(now.getTime() + LOOK_AGAIN));
    }
    return entries.length;
  } catch (error) {
    queues.doubtful = true;
    throw error;
  }
}
