import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import type { Cast } from '../cast.ts';
import { peakMemory } from '../measure.ts';
import type { Answer } from '../tasks.ts';

const ITEMS_A_JOB = 500;

/** Floor: BullMQ as it comes, 500 items in each job's data, added in bulk and drained by one worker that does nothing. */
export async function bullmq(cast: Cast, { items }: { items: number }): Promise<Answer> {
  const connection = new Redis(cast.surroundings.redisUrl, { maxRetriesPerRequest: null });
  const queue = new Queue('floor', { connection, prefix: 'bench-floor' });
  await queue.obliterate({ force: true });
  const jobs = Math.ceil(items / ITEMS_A_JOB);
  const meter = cast.meter();
  await meter.time(async () => {
    const all = Array.from({ length: jobs }, (_, job) => ({
      name: 'floor',
      data: { items: Array.from({ length: ITEMS_A_JOB }, (_, item) => job * ITEMS_A_JOB + item) },
      opts: { removeOnComplete: true },
    }));
    for (let at = 0; at < all.length; at += 1_000) await queue.addBulk(all.slice(at, at + 1_000));
    let done = 0;
    let drained: () => void = () => undefined;
    const empty = new Promise<void>((resolve) => {
      drained = resolve;
    });
    const worker = new Worker(
      'floor',
      async () => {
        done += 1;
        if (done === jobs) drained();
      },
      { connection, prefix: 'bench-floor', concurrency: 2 },
    );
    await empty;
    await worker.close();
  });
  await queue.close();
  connection.disconnect();
  return { ...meter.cost, peak: peakMemory(), figures: { items } };
}
