import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { freshDatabase } from '../servers.ts';
import { ALL, figure } from './harness/figures.ts';
import type { Command, Steps } from './harness/intercept.ts';
import { intercept } from './harness/intercept.ts';
import { at, nightWith } from './harness/nightWith.ts';
import { ELECTION, OwnReplicaSet, tell } from './harness/replicaSet.ts';
import { seeded } from './harness/seed.ts';
import type { OwnMongod } from './harness/servers.ts';
import { World } from './harness/world.ts';

const random = seeded();
const servers = freshDatabase();
let set: OwnReplicaSet;
let world: World;
beforeAll(async () => {
  set = await OwnReplicaSet.start();
  world = await World.open({ ...servers, mongodbUri: set.uri('muster') });
}, 300_000);
afterEach(() => set.isWhole(), 120_000);
afterAll(async () => {
  await world?.close();
  await set?.close();
}, 300_000);

const time = ALL ? 1_800_000 : 300_000;
const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;

/** What a command is to a write: which command, and whether in a transaction. */
const phaseOf = ({ name, inTransaction }: Command) => `${name}${inTransaction ? ' in a transaction' : ''}`;

/** How often each phase comes in a night. */
async function phases(): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  const before = (command: Command) => void found.set(phaseOf(command), (found.get(phaseOf(command)) ?? 0) + 1);
  await nightWith(world, 2, { steps: { before }, what: 'no fault' });
  return found;
}

describe('R24: a replica set of three changes its primary', () => {
  test(
    'fault 18: it steps down before and after each phase of a write',
    async () => {
      const all = [...(await phases())].flatMap(([phase, times]) =>
        [...new Set([1, Math.ceil(times / 2), times])].flatMap((n) =>
          (['before', 'after'] as const).map((when) => ({ phase, n, when })),
        ),
      );
      const points = ALL ? all : [1, 2, 3].map(() => all[random.below(all.length)] as (typeof all)[number]);
      let met = 0;
      let longest = 0;
      for (const { phase, n, when } of points) {
        let steppedDown = 0;
        const fault = async () => {
          await set.stepDown();
          steppedDown = performance.now();
          met += 1;
        };
        const act = at(n, (command) => phaseOf(command) === phase, fault);
        const goesOn = () => {
          if (steppedDown > 0) longest = Math.max(longest, performance.now() - steppedDown);
          steppedDown = 0;
        };
        const steps: Steps =
          when === 'before' ? { before: act, after: goesOn } : { after: (one) => (goesOn(), act(one)) };
        await nightWith(world, 2, { steps, what: `seed ${random.seed}, ${when} ${phase} no. ${n}` });
      }
      expect(met).toBeGreaterThan(0);
      figure(
        '18',
        'stepDown',
        `${met} points, 0 bad; the next command succeeded at most ${Math.ceil(longest)} ms later`,
      );
    },
    time,
  );

  /** A night in which the fault comes at a seeded command; settles when it has come. */
  async function beginNight(fault: () => Promise<void>) {
    await world.reset(2);
    const place = 20 + random.below(60);
    let come: (() => void) | undefined;
    const hasCome = new Promise<void>((resolve) => {
      come = resolve;
    });
    const interception = intercept(world.engine.store, {
      before: async ({ number }) => {
        if (number !== place) return;
        await fault();
        come?.();
      },
    });
    await world.engine.work();
    const given = world.engine.import(world.path(2)).then(
      ({ state }) => state,
      () => 'given up',
    );
    await hasCome;
    interception.stop();
    return { given, what: `seed ${random.seed}: at command ${place}` };
  }

  test(
    'fault 19: the primary freezes: work goes on with the next, and the old one does no harm when it wakes',
    async () => {
      let slowest = 0;
      const times = ALL ? 5 : 1;
      for (let freeze = 0; freeze < times; freeze += 1) {
        let frozen: OwnMongod | undefined;
        const { given, what } = await beginNight(async () => {
          frozen = await set.primary();
          frozen?.signal('SIGSTOP');
        });
        try {
          const then = performance.now();
          await given;
          await world.engine.recover(120_000);
          slowest = Math.max(slowest, performance.now() - then);
        } finally {
          frozen?.signal('SIGCONT');
        }
        await set.isWhole();
        expect(await world.goOn(2), what).toEqual(world.undisturbed(2));
      }
      figure(
        '19',
        'frozen',
        `${times} times, an election after ${ELECTION / 1000} s: the run was at its end at most ${seconds(slowest)} after the freeze; same digest when it had woken`,
      );
    },
    time,
  );

  test(
    'fault 20: two of three are gone: work waits, nothing is half done, and it goes on with the majority',
    async () => {
      let slowest = 0;
      const times = ALL ? 5 : 1;
      for (let gone = 0; gone < times; gone += 1) {
        const [left, ...others] = set.members as [OwnMongod, OwnMongod, OwnMongod];
        const { given, what } = await beginNight(async () => {
          await Promise.all(others.map((member) => member.kill()));
        });
        try {
          while ((await tell(left, { hello: 1 })).isWritablePrimary) await pause(50);
          expect(await Promise.race([given, pause(1_000, 'waits')])).not.toBe('completed');
        } finally {
          await Promise.all(others.map((member) => member.start()));
        }
        const then = performance.now();
        await given;
        await world.engine.recover(120_000);
        slowest = Math.max(slowest, performance.now() - then);
        await set.isWhole();
        expect(await world.goOn(2), what).toEqual(world.undisturbed(2));
      }
      figure(
        '20',
        'majority',
        `${times} times: waits, nothing half done; at its end at most ${seconds(slowest)} after the others were back`,
      );
    },
    time,
  );
});
