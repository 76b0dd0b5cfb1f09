import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freshDatabase } from '../servers.ts';
import { childrenOf } from './harness/children.ts';
import { ALL, figure } from './harness/figures.ts';
import type { Point } from './harness/point.ts';
import { seeded } from './harness/seed.ts';
import { expireTransactions } from './harness/sessions.ts';
import { Slot } from './harness/slot.ts';
import type { Order } from './harness/worker.ts';
import type { Facts, Night } from './harness/world.ts';

const random = seeded();
const servers = freshDatabase();
/** Locks of this file, ms: what freezes for longer loses its job. */
const LOCK = 400;
let slot: Slot;
beforeAll(async () => {
  slot = await Slot.open({ ...servers, lock: LOCK });
}, 300_000);
afterAll(() => slot.close());

/** A point anywhere in a night. */
async function anywhere(night: Night): Promise<Point> {
  const [end] = await slot.run(night, [{ task: 'import' }]);
  if (end?.kind !== 'done') throw new Error('The undisturbed run was killed.');
  const when = random.below(2) === 0 ? 'before' : 'after';
  const server = random.below(3) === 0 ? 'redis' : 'mongodb';
  return { server, when, at: 1 + random.below(end.counts[server]) };
}

/** The lease of a reader who is silent runs out: half a minute that nobody waits for here. */
async function expireLease(): Promise<void> {
  await slot.world.engine.store.runs.updateMany({ lease: { $exists: true } }, { $set: { 'lease.until': new Date(0) } });
}

/** Has a process freeze or stall at the point while another goes on to the end; then it wakes, and ends as it may. */
async function overtake(night: Night, point: Point, act: NonNullable<Order['act']>): Promise<Facts> {
  const { world } = slot;
  const what = `seed ${random.seed}: night ${night}, ${JSON.stringify(act)} at ${JSON.stringify(point)}`;
  await world.reset(night);
  const child = slot.take();
  const stopped = typeof act === 'string' ? isStopped(child.process.pid as number) : undefined;
  const end = await child.begin({ task: 'import', path: world.path(night), point, act });
  await Promise.race([stopped ?? pause(LOCK), end()]);
  await pause(2 * LOCK);
  await expireTransactions(world.engine.store, childrenOf(servers.prefix));
  await expireLease();
  const before = await world.goOn(night);
  expect(before, what).toEqual(world.undisturbed(night));
  child.process.kill('SIGCONT');
  await end().catch((error: Error) => {
    if (!LATE.test(error.message)) throw error;
  });
  await child.kill();
  return world.goOn(night);
}

/** What a process may say that wakes after its session was ended. */
const LATE = /MongoServerError|MongoExpiredSessionError|interrupted/;

/** Resolves when the process stands still. */
async function isStopped(pid: number): Promise<void> {
  const { readFileSync } = await import('node:fs');
  while (!/^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))) await pause(5);
}

const nightOf = (time: number): Night => (time % 2 === 0 ? 2 : 1);

describe('a process that was taken for dead wakes, and its late writes are refused', () => {
  const times = ALL ? 40 : 3;
  test(
    'fault 4: frozen by SIGSTOP for longer than its lock',
    async () => {
      const { world } = slot;
      for (let time = 0; time < times; time += 1)
        expect(await overtake(nightOf(time), await anywhere(nightOf(time)), 'SIGSTOP')).toEqual(
          world.undisturbed(nightOf(time)),
        );
      figure('4', 'stop', `${times} points, frozen for longer than twice the lock; duplicate effects 0`);
    },
    ALL ? 1_200_000 : 300_000,
  );

  test(
    'fault 5: its event loop stands still',
    async () => {
      const stall = ALL ? 6_000 : 2_000;
      const points = ALL ? 10 : 1;
      for (let time = 0; time < points; time += 1) {
        expect(await overtake(2, await anywhere(2), { block: stall })).toEqual(slot.world.undisturbed(2));
      }
      figure(
        '5',
        'block',
        `${points} points, blocked for ${stall / LOCK} times the lock (as 150 s in production); duplicate effects 0`,
      );
    },
    ALL ? 600_000 : 300_000,
  );
});
