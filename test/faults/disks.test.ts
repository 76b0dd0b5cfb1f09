import { setTimeout as pause } from 'node:timers/promises';
import { pino } from 'pino';
import { afterAll, expect, test } from 'vitest';
import { freshDatabase } from '../servers.ts';
import type { SmallDisk } from './harness/disk.ts';
import { ALL, figure, secondsSince } from './harness/figures.ts';
import { intercept } from './harness/intercept.ts';
import { seeded } from './harness/seed.ts';
import { OwnMongod, OwnRedis, type OwnServer } from './harness/servers.ts';
import { World } from './harness/world.ts';

const random = seeded();
const servers = freshDatabase();
const closing: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const close of closing.reverse()) await close();
}, 300_000);

const said: string[] = [];
const log = pino({ level: 'warn' }, { write: (line: string) => void said.push(JSON.parse(line).msg) });

/** Starts it on a disk of its own. */
async function onDisk<Server extends OwnServer>(server: Server, megabytes: number): Promise<[Server, SmallDisk]> {
  closing.push(() => server.close());
  const disk = await server.useDisk(megabytes);
  await server.start();
  return [server, disk];
}

async function openWorld(own: { mongodbUri?: string; redisUrl?: string }): Promise<World> {
  const world = await World.open({ ...servers, ...own, log });
  closing.push(() => world.close());
  return world;
}

interface FullDisk {
  readonly fill: () => void;
  /** Waits until the fault has shown, and what is to be said of it was said. */
  readonly shown: () => Promise<void>;
  /** Makes room again; what the fault ended is started. */
  readonly mend: () => Promise<void>;
  /** How long recovery may take, ms. */
  readonly patience?: number;
}

/** Fills a disk before a seeded command of a run. Gives which it was, and how long the run took to its end once there was room, ms. */
async function fillOnce(
  world: World,
  { fill, shown, mend, patience }: FullDisk,
): Promise<{ place: number; ms: number }> {
  const { engine } = world;
  const place = 1 + random.below(100);
  await world.reset(2);
  said.length = 0;
  const interception = intercept(engine.store, {
    before: ({ number }) => {
      if (number === place) fill();
    },
  });
  await engine.work();
  const given = engine.import(world.path(2)).catch(() => undefined);
  await shown();
  interception.stop();
  await mend();
  const then = performance.now();
  await given;
  await engine.recover(patience);
  return { place, ms: performance.now() - then };
}

const time = ALL ? 900_000 : 300_000;

test(
  "fault 14: Redis's disk is full: work waits, says so, loses nothing, and goes on when there is room",
  async () => {
    const [redis, disk] = await onDisk(await OwnRedis.prepare(), 16);
    const times = ALL ? 12 : 2;
    const world = await openWorld({ redisUrl: redis.url });
    const disaster: FullDisk = {
      fill: () => disk.fill(redis.pid),
      shown: async () => {
        while (!said.some((text) => text.startsWith('Redis cannot write to its disk'))) await pause(20);
      },
      mend: async () => disk.free(redis.pid),
    };
    let slowest = 0;
    for (let filled = 0; filled < times; filled += 1) {
      const { place, ms } = await fillOnce(world, disaster);
      slowest = Math.max(slowest, ms);
      expect(await world.goOn(2), `seed ${random.seed}: disk full at command ${place}`).toEqual(world.undisturbed(2));
    }
    const seconds = secondsSince(performance.now() - slowest);
    figure(
      '14',
      'disk',
      `${times} times, on ${disk.made}: waits and says so; nothing lost; at its end at most ${seconds} after there was room`,
    );
  },
  time,
);

test(
  "fault 28: MongoDB's disk is full: work waits, says so, and goes on when there is room",
  async () => {
    // A journal of short files, so that a full disk is met at once and not after 100 MB.
    const short = ['--syncdelay', '1', '--wiredTigerEngineConfigString', 'log=(file_max=100KB,prealloc=false)'];
    const [mongod, disk] = await onDisk(await OwnMongod.prepare(short), 128);
    await mongod.initiate();
    const times = ALL ? 8 : 1;
    const world = await openWorld({ mongodbUri: mongod.uri('muster') });
    const disaster: FullDisk = {
      fill: () => disk.fill(mongod.pid),
      shown: async () => {
        // It ends by itself, having no room for its journal; what supervises it starts it again.
        await mongod.ended();
        while (!said.includes('MongoDB is not reachable: work waits')) await pause(20);
      },
      mend: async () => {
        disk.free();
        await mongod.start();
      },
      patience: 60_000,
    };
    let slowest = 0;
    for (let filled = 0; filled < times; filled += 1) {
      const { place, ms } = await fillOnce(world, disaster);
      slowest = Math.max(slowest, ms);
      expect(await world.goOn(2), `seed ${random.seed}: disk full at command ${place}`).toEqual(world.undisturbed(2));
    }
    const seconds = secondsSince(performance.now() - slowest);
    figure(
      '28',
      'disk',
      `${times} times, on ${disk.made}: mongod ends by itself, work waits and says so; nothing lost; at its end at most ${seconds} after mongod was back`,
    );
  },
  time,
);
