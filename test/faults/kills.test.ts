import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freshDatabase } from '../servers.ts';
import { ALL, figure } from './harness/figures.ts';
import type { Counts, Point } from './harness/point.ts';
import { type Purge, purgesOf } from './harness/purges.ts';
import { seeded } from './harness/seed.ts';
import { Slot } from './harness/slot.ts';
import type { Order } from './harness/worker.ts';
import type { Night } from './harness/world.ts';

/** Points and pairs of a test run; `FAULTS=all` takes every point. */
const SAMPLE = { points: 24, pairs: 6 };
const PAIRS_OF_ALL = 100;

const random = seeded();
const servers = [freshDatabase(), freshDatabase()];
let slots: Slot[];
beforeAll(async () => {
  slots = await Promise.all(servers.map((options) => Slot.open(options)));
}, 300_000);
afterAll(() => Promise.all(slots.map((slot) => slot.close())), 60_000);

interface Sequence {
  readonly night: Night;
  readonly server: Point['server'];
  readonly when: Point['when'];
}
const SEQUENCES: readonly Sequence[] = ([1, 2] as const).flatMap((night) =>
  (['mongodb', 'redis'] as const).flatMap((server) =>
    (['before', 'after'] as const).map((when) => ({ night, server, when })),
  ),
);

/** Every slot takes the next piece of work until none is left. */
async function shared<T>(work: readonly T[], carryOut: (slot: Slot, piece: T) => Promise<void>): Promise<void> {
  const left = [...work];
  await Promise.all(
    slots.map(async (slot) => {
      for (let piece = left.shift(); piece !== undefined; piece = left.shift()) await carryOut(slot, piece);
    }),
  );
}

const figures = { points: 0, pairs: 0, slowest: 0, cut: 0, purges: { before: 0, after: 0, torn: 0 } };
/** What was not as after the undisturbed run; the points that follow are made all the same. */
const bad: string[] = [];

/** Kills one process after the other at their points, goes on, and compares. Gives which were killed. */
async function survive(slot: Slot, night: Night, points: readonly Point[]): Promise<boolean[]> {
  const orders = points.map((point, at): Omit<Order, 'path'> => ({ task: at === 0 ? 'import' : 'recover', point }));
  const what = `seed ${random.seed}: night ${night}, killed ${JSON.stringify(points)}`;
  const ends = await slot.run(night, orders);
  try {
    await compare(slot, night, what);
  } catch (error) {
    bad.push(`${what}: ${(error as Error).message}`);
    console.log(bad.at(-1));
  }
  return ends.map(({ kind }) => kind === 'killed');
}

async function compare({ world }: Slot, night: Night, what: string): Promise<void> {
  if (night === 2) tally([...(await purgesOf(world.engine.store)).values()]);
  const then = performance.now();
  const facts = await world.goOn(night);
  figures.slowest = Math.max(figures.slowest, performance.now() - then);
  expect(facts, what).toEqual(world.undisturbed(night));
}

/** How far the purges of a night had come when its process was killed. */
function tally(purges: readonly Purge[]): void {
  for (const purge of purges) figures.purges[purge] += 1;
  if (purges.includes('before')) figures.cut += 1;
  expect(purges, 'fault 40').not.toContain('torn');
}

/** The figure of row 40, of the kills until now. */
function figurePurges(): void {
  const { before, after, torn } = figures.purges;
  const [whole, none] = [`${after} whole, each of its results restorable`, `${before} not begun`];
  figure(
    '40',
    'kills',
    `${figures.cut} kills before the purges of a night were done; of the purges of all nights ${whole}, ${none}, ${torn} torn`,
  );
}

/** How many commands an undisturbed night has, as a process counts them. */
async function lengths(night: Night): Promise<Counts> {
  const [end] = await (slots[0] as Slot).run(night, [{ task: 'import' }]);
  if (end?.kind !== 'done') throw new Error('The undisturbed run was killed.');
  return end.counts;
}

describe('R24: a run goes on after its process was killed, and ends as the undisturbed one', () => {
  test.each(ALL ? ['all points'] : [])(
    'fault 1, %s: before and after every MongoDB and Redis command, until a run ends unharmed',
    async () => {
      await shared(SEQUENCES, async (slot, { night, server, when }) => {
        for (let at = 1; ; at += 1) {
          const [killed] = await survive(slot, night, [{ server, when, at }]);
          if (!killed) break;
          figures.points += 1;
        }
      });
      expect(bad).toEqual([]);
      expect(figures.points).toBeGreaterThan(100);
      figure(
        '1',
        'kills',
        `${figures.points} points, 0 bad; slowest recovery ${(figures.slowest / 1000).toFixed(1)} s`,
      );
      figurePurges();
    },
    7_200_000,
  );

  test.each(ALL ? [] : ['a sample'])(
    'faults 1 and 40, %s of the commands: a purge is all or nothing of each learner',
    async () => {
      const counts = { 1: await lengths(1), 2: await lengths(2) };
      const points = Array.from({ length: SAMPLE.points }, () => {
        const { night, server, when } = SEQUENCES[random.below(SEQUENCES.length)] as Sequence;
        return { night, point: { server, when, at: 1 + random.below(counts[night][server]) } };
      });
      await shared(points, async (slot, { night, point }) => {
        if ((await survive(slot, night, [point]))[0]) figures.points += 1;
      });
      expect(bad).toEqual([]);
      expect(figures.points).toBeGreaterThan(0);
      figure('1', 'kills', `${figures.points} points, 0 bad`);
      figurePurges();
    },
    240_000,
  );

  test(
    'fault 2: killed again while it goes on',
    async () => {
      const counts = { 1: await lengths(1), 2: await lengths(2) };
      const pairs = Array.from({ length: ALL ? PAIRS_OF_ALL : SAMPLE.pairs }, () => {
        const night: Night = random.below(2) === 0 ? 1 : 2;
        const point = (): Point => {
          const server = random.below(2) === 0 ? 'mongodb' : 'redis';
          const when = random.below(2) === 0 ? 'before' : 'after';
          return { server, when, at: 1 + random.below(counts[night][server]) };
        };
        return { night, points: [point(), point()] };
      });
      bad.length = 0;
      let killedOnce = 0;
      await shared(pairs, async (slot, { night, points }) => {
        const killed = await survive(slot, night, points);
        if (killed.every(Boolean)) figures.pairs += 1;
        if (killed.some(Boolean)) killedOnce += 1;
      });
      expect(bad).toEqual([]);
      expect(killedOnce).toBeGreaterThan(0);
      figure('2', 'pairs', `${pairs.length} seeded pairs (${figures.pairs} killed twice), 0 bad`);
    },
    ALL ? 1_800_000 : 300_000,
  );
});
