import { defineJob } from '../src/queue/job.ts';
import { advanceRun } from '../src/run/advance.ts';
import { applyBatch } from '../src/run/applyBatch.ts';
import type { JobContext } from './context.ts';
import { noting } from './noting.ts';
import { BatchPayload } from './payloads.ts';

/**
 * Writes one batch of a plan. Two at a time in the whole environment: while the database writes the one, the other is
 * prepared. With more, the database is busier and no sooner ready (docs/decisions/0005-speed-tried.md).
 */
export const apply = defineJob({
  name: 'apply',
  payload: BatchPayload,
  retry: { attempts: 5, delay: 200 },
  concurrency: { global: 2, here: 2 },

  async handle(id, context: JobContext) {
    const settles = await noting(context, id, 'apply', () => applyBatch(context, id));
    if (settles) await context.queues.add([{ ...id, job: settles }]);
    await advanceRun(context, id.run);
  },
});
