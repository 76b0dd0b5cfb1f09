import type { SettleKind } from '../src/domain/settle.ts';
import { defineJob, type Job } from '../src/queue/job.ts';
import { settleBatch } from '../src/reconcile/settleBatch.ts';
import { advanceRun } from '../src/run/advance.ts';
import type { JobContext } from './context.ts';
import { noting } from './noting.ts';
import { BatchPayload } from './payloads.ts';

/** The shape that subscribe, expire and purge share: re-derive what is true of the batch's learners, write the difference. */
export function settling(kind: SettleKind): Job<JobContext> {
  return defineJob({
    name: kind,
    payload: BatchPayload,
    retry: { attempts: 5, delay: 200 },

    async handle(id, context: JobContext) {
      await noting(context, id, kind, () => settleBatch(context, id, kind));
      await advanceRun(context, id.run);
    },
  });
}
