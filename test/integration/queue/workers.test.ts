import { once } from 'node:events';
import { pino } from 'pino';
import { afterAll, expect, test } from 'vitest';
import { z } from 'zod';
import { defineJob } from '../../../src/queue/job.ts';
import { Queues } from '../../../src/queue/queues.ts';
import { connectRedis } from '../../../src/queue/redis.ts';
import { startWorkers } from '../../../src/queue/workers.ts';
import { freshDatabase } from '../../servers.ts';

const { redisUrl, prefix } = freshDatabase();
const log = pino({ level: 'silent' });
/** Who has begun the job; nobody ends it before `end`. */
const began: string[] = [];
const end = new AbortController();
const ended = once(end.signal, 'abort');
const job = defineJob({
  name: 'import',
  payload: z.object({ run: z.string() }),
  retry: { attempts: 3, delay: 1_000 },
  async handle(_, { name }: { name: string }) {
    began.push(name);
    await ended;
  },
});
const queues = new Queues(
  connectRedis(redisUrl, 'producer', () => undefined),
  prefix,
  [job],
);

async function crew(name: string) {
  const redis = connectRedis(redisUrl, 'worker', () => undefined);
  const workers = await startWorkers({ queues, redis, jobs: [job], context: { name }, concurrency: 1, log, lock: 500 });
  return {
    async stop(ms: number) {
      await workers.stop(ms);
      redis.disconnect();
    },
  };
}

afterAll(async () => {
  await queues.queue('import').obliterate({ force: true });
  await queues.close();
  queues.redis.disconnect();
});

test('R24: a worker that is stopped waits no longer for its job than it is told to, and another takes the job up', async () => {
  const first = await crew('first');
  await queues.addImport('r1');
  await expect.poll(() => began).toEqual(['first']);
  const then = performance.now();
  await first.stop(200);
  expect(performance.now() - then).toBeLessThan(2_000);
  const second = await crew('second');
  await expect.poll(() => began).toEqual(['first', 'second']);
  end.abort();
  await expect.poll(() => queues.stateOf('import-r1', 'import')).toBeNull();
  await second.stop(5_000);
});
