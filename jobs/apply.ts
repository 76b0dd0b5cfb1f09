import { defineJob } from '../src/queue/job.ts';
import { advanceRun } from '../src/run/advance.ts';
import { applyBatch } from '../src/run/applyBatch.ts';
import type { JobContext } from './context.ts';
import { noting } from './noting.ts';
import { BatchPayload } from './payloads.ts';

/**
 * Writes one batch of a plan. One at a time in the whole environment: several writers that insert into a collection
 * with unique secondary indexes block each other (measured in docs/decisions).
 */
export const apply = defineJob({
  name: 'apply',
  payload: BatchPayload,
  retry: { attempts: 5, delay: 200 },
  concurrency: { global: 1, here: 1 },

  async handle(id, context: JobContext) {
    const settles = await noting(context, id, 'apply', () => applyBatch(context, id));
    if (settles) await context.queues.add([{ ...id, job: settles }]);
    await advanceRun(context, id.run);
  },
});
