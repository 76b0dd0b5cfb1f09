import { setTimeout as pause } from 'node:timers/promises';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { JOBS } from '../../src/queue/job.ts';
import type { Queues } from '../../src/queue/queues.ts';
import { applyBatch } from '../../src/run/applyBatch.ts';
import { enqueueRun } from '../../src/run/enqueue.ts';
import { LEASE } from '../../src/run/execute.ts';
import { mongo } from '../../src/store/models.ts';
import { freshDatabase } from '../servers.ts';
import { ALL, figure, secondsSince } from './harness/figures.ts';
import { type Command, intercept, type Steps } from './harness/intercept.ts';
import { at, nightWith } from './harness/nightWith.ts';
import { readOnly } from './harness/readOnly.ts';
import { seeded } from './harness/seed.ts';
import { OwnMongod } from './harness/servers.ts';
import { World } from './harness/world.ts';

const random = seeded();
const servers = freshDatabase();
let mongod: OwnMongod;
let world: World;
const said: string[] = [];
beforeAll(async () => {
  mongod = await OwnMongod.start();
  const log = pino({ level: 'warn' }, { write: (line: string) => void said.push(JSON.parse(line).msg) });
  world = await World.open({ ...servers, mongodbUri: mongod.uri('muster'), log });
}, 300_000);
afterAll(async () => {
  await world.close();
  await mongod.close();
}, 300_000);
afterEach(() => failPoint('failCommand', 'off'));

async function failPoint(name: string, mode: unknown, data?: Record<string, unknown>): Promise<void> {
  const client = world.engine.store.connection.getClient();
  await client.db('admin').command({ configureFailPoint: name, mode, ...(data && { data }) });
}

/** Both nights, with a fault at one after the other of the commands that fit: `ALL`, or some of each. Gives how many. */
async function atCommands(fits: (command: Command) => boolean, fault: (n: number) => Steps, some: number) {
  let points = 0;
  for (const night of [1, 2] as const) {
    let length = 0;
    const steps: Steps = { before: (command) => void (length += fits(command) ? 1 : 0) };
    await nightWith(world, night, { steps, what: 'no fault' });
    const all = Array.from({ length }, (_, place) => place + 1);
    for (const n of ALL ? all : all.slice(0, some).map(() => 1 + random.below(length))) {
      const undo = () => failPoint('failCommand', 'off');
      await nightWith(world, night, { steps: fault(n), what: `seed ${random.seed}, command ${n}`, undo });
      points += 1;
    }
  }
  return points;
}

const isAny = ({ name }: Command): boolean => name !== 'abortTransaction';

/** Commands that write, and whose write concern is their own. */
function isAcknowledged({ name, inTransaction }: Command): boolean {
  return name === 'commitTransaction' || (!inTransaction && WRITES.has(name));
}
const WRITES = new Set(['insert', 'update', 'delete', 'findAndModify']);

async function waiting(queues: Queues): Promise<number> {
  const counts = await Promise.all(
    JOBS.map((job) => queues.queue(job).getJobCountByTypes('wait', 'active', 'delayed')),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

describe('MongoDB in trouble: what was to be written is written once', () => {
  const time = ALL ? 2_400_000 : 300_000;

  test(
    'fault 21: a passing error at any command',
    async () => {
      const conflict = ({ name }: Command) =>
        failPoint('failCommand', { times: 1 }, { failCommands: [name], errorCode: 112 });
      const points = await atCommands(isAny, (n) => ({ before: at(n, isAny, conflict) }), 3);
      expect(points).toBeGreaterThan(0);
      figure('21', 'error', `${points} points, 0 bad`);
    },
    time,
  );

  test(
    'fault 22: the reply of any command is lost',
    async () => {
      const lost = () => {
        throw new mongo.MongoNetworkError('the connection was closed before the reply had come');
      };
      const points = await atCommands(isAny, (n) => ({ after: at(n, isAny, lost) }), 3);
      expect(points).toBeGreaterThan(0);
      figure('22', 'reply', `${points} points, 0 bad`);
    },
    time,
  );

  const unknown = ({ name }: Command) =>
    failPoint(
      'failCommand',
      { times: 1 },
      { failCommands: [name], writeConcernError: { code: 64, errmsg: 'waiting for replication timed out' } },
    );

  test('fault 23: a run whose beginning is not known to be written waits for no lease of its own', async () => {
    const isUpdate = ({ name, inTransaction }: Command) => name === 'update' && !inTransaction;
    const undo = () => failPoint('failCommand', 'off');
    const began = performance.now();
    await nightWith(world, 1, { steps: { before: at(1, isUpdate, unknown) }, what: 'the first update', undo });
    expect(performance.now() - began).toBeLessThan(LEASE);
  }, 120_000);

  test(
    'fault 23: a write whose outcome is unknown',
    async () => {
      const points = await atCommands(isAcknowledged, (n) => ({ before: at(n, isAcknowledged, unknown) }), 2);
      expect(points).toBeGreaterThan(0);
      figure('23', 'outcome', `${points} points, 0 bad`);
    },
    time,
  );

  test(
    'fault 17: mongod is killed and comes back',
    async () => {
      const times = ALL ? 20 : 1;
      let slowest = 0;
      for (let kill = 0; kill < times; kill += 1) {
        const place = 20 + random.below(100);
        let back: Promise<number> | undefined;
        await world.reset(2);
        const interception = intercept(world.engine.store, {
          before: ({ number }) => {
            if (number === place) back = killAndRestart();
          },
        });
        await world.engine.work();
        // Its own process reads again what was being read.
        expect(await world.engine.import(world.path(2))).toMatchObject({ state: 'completed' });
        interception.stop();
        const returned = await back;
        await world.engine.recover(60_000);
        if (returned) slowest = Math.max(slowest, performance.now() - returned);
        // No reader's lease is waited for: its process has said that it reads no more.
        expect(slowest, `seed ${random.seed}: killed at command ${place}`).toBeLessThan(LEASE);
        expect(await world.goOn(2), `seed ${random.seed}: killed at command ${place}`).toEqual(world.undisturbed(2));
      }
      figure(
        '17',
        'kill',
        `${times} kills, 0 acknowledged writes lost; at its end at most ${(slowest / 1000).toFixed(1)} s after the return`,
      );
    },
    ALL ? 1_200_000 : 300_000,
  );

  async function killAndRestart(): Promise<number> {
    await mongod.kill();
    await pause(500);
    await mongod.start();
    return performance.now();
  }

  test('fault 25: write conflicts at random', async () => {
    let aborted = 0;
    await failPoint('WTWriteConflictException', { activationProbability: 0.02 });
    const counting: Steps = { before: ({ name }) => void (aborted += name === 'abortTransaction' ? 1 : 0) };
    const then = performance.now();
    try {
      await nightWith(world, 2, { steps: counting, what: 'write conflicts' });
    } finally {
      await failPoint('WTWriteConflictException', 'off');
    }
    expect(aborted).toBeGreaterThan(0);
    figure('25', 'conflicts', `${aborted} transactions tried again, at its end after ${secondsSince(then)}`);
  }, 300_000);

  test('fault 27: a batch that lasts longer than a transaction may is taken learner by learner', async () => {
    const admin = world.engine.store.connection.getClient().db('admin');
    const lifetime = (seconds: number) => admin.command({ setParameter: 1, transactionLifetimeLimitSeconds: seconds });
    // As on a server that takes this long for each document, ms: 300 of them are more than one transaction may last.
    const each = 8;
    const slow: Steps = { before: ({ inTransaction, documents }) => pause(inTransaction ? each * documents : 0) };
    said.length = 0;
    const then = performance.now();
    const { transactionLifetimeLimitSeconds: usual } = await admin.command({
      getParameter: 1,
      transactionLifetimeLimitSeconds: 1,
    });
    await lifetime(1);
    try {
      await nightWith(world, 1, { steps: slow, what: 'transactions of one second', within: 200_000 });
    } finally {
      await lifetime(usual);
    }
    expect(said).toContain('batch is applied one by one');
    figure(
      '27',
      'lifetime',
      `300 learners that would take ${(300 * each) / 1000} s and more, of 1 s: taken learner by learner, at its end after ${secondsSince(then)}, same digest`,
    );
  }, 300_000);

  test(
    'fault 29: the database is restored from a copy that is older than what Redis holds',
    async () => {
      const { engine } = world;
      const { context, queues, store } = engine;
      const times = ALL ? 8 : 2;
      for (let applied = 0; applied < times; applied += 1) {
        await world.reset(2);
        await mongod.kill();
        const older = mongod.backUp();
        await mongod.start();
        const run = await readOnly(engine, world.path(2));
        await enqueueRun(store, queues, run._id);
        const entries = await store.outbox.find().sort({ _id: 1 }).limit(applied).toArray();
        for (const { _id } of entries) {
          const job = await applyBatch(context, _id);
          if (job) await queues.add([{ ..._id, job }]);
        }
        await mongod.kill();
        older.swapIn();
        await mongod.start();
        said.length = 0;
        await engine.recover();
        await expect.poll(() => waiting(queues), { timeout: 60_000 }).toBe(0);
        expect(said).not.toContain('job failed');
        expect(await world.goOn(2), `${applied} batches applied before the copy was put back`).toEqual(
          world.undisturbed(2),
        );
      }
      figure('29', 'restored', `${times} times: the jobs of what is not there any more end quietly; same digest`);
    },
    ALL ? 600_000 : 300_000,
  );

  test(
    'fault 24: the database is slow: what waits does not fill the memory',
    async () => {
      const [ms, times] = ALL ? [5_000, 12] : [500, 6];
      const large = await World.open(
        { ...servers, mongodbUri: mongod.uri('slow'), prefix: `${servers.prefix}-slow` },
        { learners: ALL ? 20_000 : 3_000 },
      );
      try {
        await large.reset(1);
        await failPoint(
          'failCommand',
          { times },
          { failCommands: ['commitTransaction', 'insert'], blockConnection: true, blockTimeMS: ms },
        );
        const before = process.memoryUsage().rss;
        let peak = before;
        const watch = setInterval(() => {
          peak = Math.max(peak, process.memoryUsage().rss);
        }, 50);
        await large.engine.work();
        await large.engine.import(large.path(1));
        await large.engine.recover(300_000);
        clearInterval(watch);
        const grown = Math.round((peak - before) / 1_048_576);
        expect(grown).toBeLessThan(256);
        expect(await large.goOn(1)).toEqual(large.undisturbed(1));
        figure('24', 'slow', `${times} writes of ${ms / 1000} s each; memory grew by ${grown} MB`);
      } finally {
        await large.close();
      }
    },
    ALL ? 600_000 : 300_000,
  );
});
