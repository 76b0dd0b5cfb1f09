import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { enqueueRun } from '../../src/run/enqueue.ts';
import { freshDatabase } from '../servers.ts';
import { ALL, figure } from './harness/figures.ts';
import { StallingProxy } from './harness/proxy.ts';
import { readOnly } from './harness/readOnly.ts';
import { World } from './harness/world.ts';

const tsx = createRequire(import.meta.url).resolve('tsx');
const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const servers = freshDatabase();
let world: World;
beforeAll(async () => {
  world = await World.open(servers, { learners: 3_000 });
}, 300_000);
afterAll(() => world.close());

/** `muster worker` on a run that waits to be applied, once the first of its batches is done. */
async function workerAtWork(redisUrl: string): Promise<{ worker: ChildProcess; ended: Promise<unknown[]> }> {
  await world.reset(1);
  const { store, queues } = world.engine;
  const run = await readOnly(world.engine, world.path(1));
  await enqueueRun(store, queues, run._id);
  const waiting = await store.outbox.countDocuments();
  const env = { MONGODB_URI: servers.mongodbUri, REDIS_URL: redisUrl, MUSTER_PREFIX: servers.prefix };
  const worker = spawn(process.execPath, ['--import', tsx, main, 'worker'], {
    cwd: world.directory,
    env: { ...process.env, ...env, LOG_LEVEL: 'silent' },
    stdio: 'ignore',
  });
  const ended = once(worker, 'exit');
  while (worker.exitCode === null && (await store.outbox.countDocuments()) === waiting) await pause(2);
  return { worker, ended };
}

test(
  'fault 3: SIGTERM in a batch: `muster worker` ends by itself within 10 s, and the run goes on later',
  async () => {
    let slowest = 0;
    for (let time = 0; time < (ALL ? 5 : 1); time += 1) {
      const { worker, ended } = await workerAtWork(servers.redisUrl);
      const then = performance.now();
      worker.kill('SIGTERM');
      expect(await ended).toEqual([0, null]);
      slowest = Math.max(slowest, performance.now() - then);
      expect(performance.now() - then).toBeLessThan(10_000);
      expect(await world.goOn(1)).toEqual(world.undisturbed(1));
    }
    figure(
      '3',
      'sigterm',
      `ends with exit code 0 after at most ${(slowest / 1000).toFixed(1)} s; goes on, same digest`,
    );
  },
  ALL ? 900_000 : 300_000,
);

test.each([
  ['takes no bytes', async (proxy: StallingProxy) => proxy.stall()],
  ['is gone', async (proxy: StallingProxy) => proxy.close()],
])(
  'fault 3: SIGTERM while Redis %s: `muster worker` ends by itself within 10 s, and the run goes on later',
  async (_, fault) => {
    const url = new URL(servers.redisUrl);
    const proxy = await StallingProxy.open(Number(url.port));
    url.port = String(proxy.port);
    const { worker, ended } = await workerAtWork(url.href);
    await fault(proxy);
    const then = performance.now();
    worker.kill('SIGTERM');
    const late = setTimeout(() => worker.kill('SIGKILL'), 30_000);
    expect(await ended).toEqual([0, null]);
    clearTimeout(late);
    expect(performance.now() - then).toBeLessThan(10_000);
    await proxy.close();
    expect(await world.goOn(1)).toEqual(world.undisturbed(1));
  },
  300_000,
);
