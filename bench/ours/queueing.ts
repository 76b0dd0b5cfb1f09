import { z } from 'zod';
import type { RunId } from '../../src/domain/ids.ts';
import { defineJob, type Job } from '../../src/queue/job.ts';
import { Queues } from '../../src/queue/queues.ts';
import { connectRedis } from '../../src/queue/redis.ts';
import { startWorkers } from '../../src/queue/workers.ts';
import { enqueueRun } from '../../src/run/enqueue.ts';
import { BATCH_SIZE } from '../../src/run/planWriter.ts';
import { waiting } from '../../src/run/start.ts';
import { newRunId } from '../../src/store/counters.ts';
import { ofRun } from '../../src/store/outbox.ts';
import type { Cast } from '../cast.ts';
import { peakMemory } from '../measure.ts';
import type { Answer } from '../tasks.ts';

/** From the outbox to the queue and through a worker that does nothing: so many items, a batch a job. */
export async function queueing(cast: Cast, { database, items }: { database: string; items: number }): Promise<Answer> {
  const { context } = await cast.muster(database);
  const { store, log } = context;
  const run: RunId = await newRunId(store);
  const jobs = Math.ceil(items / BATCH_SIZE);
  const entries = Array.from({ length: jobs }, (_, at) =>
    waiting({ run, batch: 1_000_001 + at }, 'subscribe', new Date()),
  );
  await store.outbox.insertMany(entries);
  let done = 0;
  let drained: () => void = () => undefined;
  const empty = new Promise<void>((resolve) => {
    drained = resolve;
  });
  const idle = defineJob({
    name: 'subscribe',
    payload: z.object({ run: z.string(), batch: z.number().int() }),
    retry: { attempts: 1, delay: 100 },
    async handle() {
      done += 1;
      if (done === jobs) drained();
    },
  }) as unknown as Job<unknown>;
  const { redisUrl } = cast.surroundings;
  const queues = new Queues(
    connectRedis(redisUrl, 'producer', () => undefined),
    `${database}-queue`,
    [idle],
  );
  const redis = connectRedis(redisUrl, 'worker', () => undefined);
  const meter = cast.meter();
  await meter.time(async () => {
    await enqueueRun(store, queues, run);
    const workers = await startWorkers({ queues, redis, jobs: [idle], context: {}, concurrency: 2, log });
    await empty;
    await workers.stop(5_000);
  });
  await queues.close();
  queues.redis.disconnect();
  redis.disconnect();
  await store.outbox.deleteMany(ofRun(run));
  return { ...meter.cost, peak: peakMemory(), figures: { items } };
}
