import { MusterError } from '../src/domain/errors.ts';
import { defineJob } from '../src/queue/job.ts';
import { fileOf, isFree } from '../src/run/drive.ts';
import { enqueueRun } from '../src/run/enqueue.ts';
import { executeRun, failRun } from '../src/run/execute.ts';
import { isTransient } from '../src/store/failures.ts';
import { readFeedDoc } from '../src/store/feeds.ts';
import type { RunDoc } from '../src/store/models.ts';
import { readRun } from '../src/store/runs.ts';
import type { JobContext } from './context.ts';
import { RunPayload } from './payloads.ts';

/** The feed was deleted before its run was read to its end. */
class FeedGone extends MusterError {
  readonly code = 'feed-gone';
  constructor({ _id, feed }: RunDoc) {
    super(`Feed ${feed} was deleted before run ${_id} had read its file. Nothing was changed.`);
  }
}

/** Reads a run's file, plans, guards, and enqueues what is to be applied. */
export const importFeed = defineJob({
  name: 'import',
  payload: RunPayload,
  retry: { attempts: 5, delay: 1_000 },
  concurrency: { here: 1 },

  async handle({ run: id }, context: JobContext) {
    const run = await readRun(context.store, id);
    const feed = run?.feed ? await readFeedDoc(context.store, run.feed) : null;
    if (!run || !isFree(run, context.clock.now())) return;
    if (!feed) return failRun(context, run, new FeedGone(run));
    try {
      const after = await executeRun(context, run, await fileOf(run, feed, context.base));
      if (after.state === 'applying') await enqueueRun(context.store, context.queues, id);
    } catch (error) {
      if (isTransient(error)) throw error;
      await failRun(context, run, error);
    }
  },
});
