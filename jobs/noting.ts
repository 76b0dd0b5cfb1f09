import type { BatchId, OutboxDoc } from '../src/store/models.ts';
import { entryFailed } from '../src/store/outbox.ts';
import { describe } from '../src/store/setAside.ts';
import { inSpan } from '../src/telemetry/tracing.ts';
import type { JobContext } from './context.ts';

/**
 * Does the work of an outbox entry. Where it fails, the entry says so, for whoever looks at the queue, and the job
 * fails with the same error; where the database is away, that is known without a note.
 */
export async function noting<T>(
  { store, clock }: JobContext,
  _id: BatchId,
  job: OutboxDoc['job'],
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await inSpan(`batch ${job}`, { 'muster.run': _id.run, 'muster.batch': _id.batch }, work);
  } catch (error) {
    const when = { now: clock.now(), random: Math.random() };
    await entryFailed(store, { _id, job }, describe(error), when).catch(() => undefined);
    throw error;
  }
}
