import { readdirSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { enqueueRun } from '../../src/run/enqueue.ts';
import { freshDatabase } from '../servers.ts';
import { ALL, figure, secondsSince } from './harness/figures.ts';
import { intercept } from './harness/intercept.ts';
import { StallingProxy } from './harness/proxy.ts';
import { readOnly } from './harness/readOnly.ts';
import { seeded } from './harness/seed.ts';
import { OwnRedis } from './harness/servers.ts';
import { type Night, World } from './harness/world.ts';

const random = seeded();
const servers = freshDatabase();
let redis: OwnRedis;
let proxy: StallingProxy;
let world: World;
const said: { msg: string; code?: string }[] = [];
let skipped = 0;
beforeAll(async () => {
  redis = await OwnRedis.start();
  const log = pino({ level: 'warn' }, { write: (line: string) => void said.push(JSON.parse(line)) });
  const clock = { now: () => new Date(Date.now() + skipped) };
  proxy = await StallingProxy.open(redis.port);
  const redisUrl = `redis://127.0.0.1:${proxy.port}`;
  world = await World.open({ ...servers, redisUrl, log, clock });
}, 300_000);
afterAll(async () => {
  await world?.close();
  await proxy?.close();
  await redis?.close();
}, 300_000);

/** Runs the night with workers up, and calls `fault` after the MongoDB command of that number. False: it never came. */
async function nightWith(night: Night, at: number, fault: () => Promise<void>): Promise<boolean> {
  const { engine } = world;
  await world.reset(night);
  let come: Promise<void> | undefined;
  const interception = intercept(engine.store, {
    after: ({ number }) => {
      if (number === at) come = fault();
    },
  });
  await engine.work();
  await engine.import(world.path(night)).catch(() => undefined);
  interception.stop();
  await come;
  return come !== undefined;
}

async function commandsOf(night: Night): Promise<number> {
  const interception = intercept(world.engine.store, {});
  await world.reset(night);
  const from = interception.count();
  await world.engine.import(world.path(night));
  return interception.stop() - from;
}

describe('R24: losing Redis loses nothing', () => {
  test.each(ALL ? [1, 20, 120] : [1])(
    'fault 8: Redis is killed, and comes back after %i s',
    async (seconds) => {
      let back = 0;
      await nightWith(2, 40 + random.below(60), async () => {
        await redis.kill();
        await pause(seconds * 1_000);
        await redis.start();
        back = performance.now();
      });
      await world.engine.recover();
      const took = secondsSince(back);
      // Within 2 s, and longer only where the machine has no time for it.
      expect(performance.now() - back).toBeLessThan(5_000);
      expect(await world.goOn(2)).toEqual(world.undisturbed(2));
      figure(
        '8',
        String(seconds).padStart(3, '0'),
        `away ${seconds} s: the run was at its end ${took} after the return`,
      );
    },
    200_000,
  );

  test.each(ALL ? [1, 5, 20, 60] : [3])(
    'fault 9: Redis takes no bytes for %i s, longer than a lock, and its connections stay open',
    async (seconds) => {
      let back = 0;
      await nightWith(2, 40 + random.below(60), async () => {
        proxy.stall();
        await pause(seconds * 1_000);
        proxy.flow();
        back = performance.now();
      });
      await world.engine.recover();
      const took = secondsSince(back);
      expect(await world.goOn(2), `seed ${random.seed}: stalled for ${seconds} s`).toEqual(world.undisturbed(2));
      figure('9', String(seconds).padStart(3, '0'), `${seconds} s: no duplicates; at its end ${took} later`);
    },
    200_000,
  );

  test('fault 10: Redis loses its newest writes', async () => {
    const cuts = ALL ? 12 : 2;
    for (let cut = 0; cut < cuts; cut += 1) {
      await world.reset(2);
      const { engine } = world;
      const run = await readOnly(engine, world.path(2));
      await enqueueRun(engine.store, engine.queues, run._id);
      await pause(50);
      await redis.kill();
      const folder = join(redis.directory, 'appendonlydir');
      const file = join(
        folder,
        readdirSync(folder)
          .filter((name) => name.endsWith('.incr.aof'))
          .sort()
          .at(-1) as string,
      );
      const { size } = statSync(file);
      truncateSync(file, size - random.below(Math.min(size, 4_000)));
      await redis.start();
      // The relay looks again after 15 s at what it believes to be enqueued.
      skipped += 20_000;
      await engine.recover();
      expect(await world.goOn(2)).toEqual(world.undisturbed(2));
    }
    figure('10', 'cut', `${cuts} cuts, 0 bad; what was lost is enqueued again within 15 s`);
  }, 200_000);

  test(
    'fault 11: Redis is emptied after any command',
    async () => {
      const client = world.engine.queues.redis;
      const empty = async () => void (await client.flushall());
      let points = 0;
      for (const night of [1, 2] as const) {
        const commands = await commandsOf(night);
        const chosen = ALL
          ? Array.from({ length: commands }, (_, at) => at + 1)
          : [1, 2, 3].map(() => 1 + random.below(commands));
        for (const at of chosen) {
          if (await nightWith(night, at, empty)) points += 1;
          await world.engine.recover();
          expect(await world.goOn(night), `seed ${random.seed}: night ${night}, emptied after command ${at}`).toEqual(
            world.undisturbed(night),
          );
        }
      }
      figure('11', 'flush', `${points} points, 0 bad`);
    },
    ALL ? 3_600_000 : 300_000,
  );

  test('fault 12: Redis is full: work waits, says so, and goes on when there is room', async () => {
    await world.reset(2);
    const { engine } = world;
    const client = engine.queues.redis;
    const run = await readOnly(engine, world.path(2));
    const waiting = await engine.store.outbox.countDocuments();
    await client.set('filler', 'x'.repeat(6 * 1024 * 1024));
    await client.config('SET', 'maxmemory', '6mb');
    said.length = 0;
    await engine.work();
    while (!said.some(({ msg }) => msg.startsWith('Redis is full'))) await pause(20);
    expect(await engine.store.outbox.countDocuments()).toBe(waiting);
    await client.config('SET', 'maxmemory', '0');
    await client.del('filler');
    const then = performance.now();
    skipped += 20_000;
    await engine.recover();
    expect(run.state).toBe('applying');
    expect(await world.goOn(2)).toEqual(world.undisturbed(2));
    figure('12', 'full', `waits and says so; nothing lost; at its end ${secondsSince(then)} after there was room`);
  }, 300_000);
});
