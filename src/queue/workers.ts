import { type Job as BullJob, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { framesOf } from '../domain/errors.ts';
import { jobSeconds } from '../telemetry/metrics.ts';
import { bullTelemetry } from '../telemetry/tracing.ts';
import { atMost } from './atMost.ts';
import type { Job } from './job.ts';
import { JobFailed } from './jobFailed.ts';
import type { Queues } from './queues.ts';
import { refusal } from './redis.ts';

export interface WorkersOptions<Context> {
  readonly queues: Queues;
  /** Connection for workers: waits for Redis as long as it takes. */
  readonly redis: Redis;
  readonly jobs: readonly Job<Context>[];
  readonly context: Context;
  readonly concurrency: number;
  readonly log: Logger;
  /** How long a silent worker keeps its job, ms; unset = `LOCK`. */
  readonly lock?: number;
}

export interface Workers {
  /**
   * Lets running jobs end, at most `ms`. What is left is taken up again by others once its lock has run out, which is no
   * more renewed when the connection is closed or the process has ended.
   */
  stop(ms: number): Promise<void>;
}

/** A worker that dies is noticed this soon, ms: its job is then given to another. A late write is fenced off by the outbox. */
const LOCK = 10_000;

export async function startWorkers<Context>(options: WorkersOptions<Context>): Promise<Workers> {
  const { queues, redis, jobs, context, log, lock = LOCK } = options;
  // A Redis that refuses to write refuses this too; it is told by the relay once it does not.
  await queues.limit().catch((error) => {
    if (refusal(error) === undefined) throw error;
  });
  const workers = jobs.map((job) => {
    const work = async ({ data }: BullJob) => {
      try {
        await job.handle(job.payload.parse(data), context);
      } catch (error) {
        throw new JobFailed(error as Error);
      }
    };
    const worker = new Worker(job.name, work, {
      connection: redis,
      prefix: queues.prefix,
      ...bullTelemetry(),
      concurrency: job.concurrency?.here ?? options.concurrency,
      lockDuration: lock,
      stalledInterval: lock / 2,
      maxStalledCount: 1_000_000,
      drainDelay: 1,
      // After an error that is not of the connection (a full Redis): bullmq's own 15 s are long for who has made room.
      runRetryDelay: 1_000,
      removeOnComplete: { count: 0 },
      removeOnFail: { count: 0 },
    });
    worker.on('error', (error) => {
      const refused = refusal(error);
      if (refused) log.error({ job: job.name }, refused);
      else log.warn({ job: job.name, code: (error as { code?: string }).code }, 'queue is not reachable');
    });
    worker.on('completed', (done) => measure(done, 'completed'));
    worker.on('failed', (failed, error) => {
      if (failed) measure(failed, 'failed');
      log.error(
        {
          job: job.name,
          id: failed?.id,
          tries: failed?.attemptsMade,
          error: error.name,
          code: (error as { code?: unknown }).code,
          at: framesOf(error),
        },
        'job failed',
      );
    });
    return worker;
  });
  return {
    async stop(ms) {
      // No `close(true)` for what is late: bullmq 6.7 then gives the promise of the first `close` again.
      await atMost(ms, Promise.all(workers.map((worker) => worker.close())));
    },
  };
}

function measure(
  { name: job, processedOn, finishedOn }: Pick<BullJob, 'name' | 'processedOn' | 'finishedOn'>,
  end: string,
): void {
  if (processedOn !== undefined) jobSeconds.observe({ job, end }, ((finishedOn ?? Date.now()) - processedOn) / 1000);
}
