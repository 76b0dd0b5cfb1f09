import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { jobs } from '../../jobs/all.ts';
import type { RunId } from '../../src/domain/ids.ts';
import { Queues } from '../../src/queue/queues.ts';
import { connectRedis } from '../../src/queue/redis.ts';
import { digest } from '../../src/run/digest.ts';
import { requestRun } from '../../src/run/request.ts';
import { importStructure } from '../../src/run/structureChange.ts';
import { verify } from '../../src/run/verify.ts';
import { readFeedFile } from '../../src/settings/feed.ts';
import { saveFeed } from '../../src/store/feeds.ts';
import { type Services, systemClock } from '../../src/store/services.ts';
import { openStore } from '../../src/store/store.ts';
import { COMPANY, HR } from '../harness.ts';
import { freshDatabase, type TestServers } from '../servers.ts';

const tsx = createRequire(import.meta.url).resolve('tsx');
const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'muster-workers-'));
const LEARNERS = 3_000;
const GROUPS = ['sector-a', 'sector-b', 'lone', 'sector-a;lone'];

/** `muster worker` in so many processes, on an environment of their own. */
class Crew {
  readonly #servers: TestServers;
  readonly #processes: ChildProcess[] = [];
  services!: Services;
  queues!: Queues;

  constructor(servers: TestServers) {
    this.#servers = servers;
  }

  async open(): Promise<void> {
    const { mongodbUri, redisUrl, prefix } = this.#servers;
    const store = await openStore(mongodbUri);
    this.services = { store, clock: systemClock, log: pino({ level: 'silent' }), purgeRetentionDays: 30 };
    this.queues = new Queues(
      connectRedis(redisUrl, 'producer', () => undefined),
      prefix,
      jobs,
    );
    await importStructure(this.services, { ...COMPANY, by: 'test' });
    await saveFeed(store, HR, readFeedFile(HR, 'hr.yaml'), 'database');
  }

  /** Settles when all of them wait for jobs. */
  async start(count: number): Promise<void> {
    const { mongodbUri, redisUrl, prefix } = this.#servers;
    for (let number = 0; number < count; number += 1) {
      const env = { ...process.env, MONGODB_URI: mongodbUri, REDIS_URL: redisUrl, MUSTER_PREFIX: prefix };
      this.#processes.push(
        spawn(process.execPath, ['--import', tsx, main, 'worker'], { cwd: directory, env, stdio: 'ignore' }),
      );
    }
    await until(`${count} workers`, async () => (await this.queues.queue('expire').getWorkersCount()) === count);
  }

  /** Imports a file by the queue alone: no work is done in this process. */
  async import(path: string): Promise<void> {
    const { store } = this.services;
    const source = { name: 'hr.csv', path, bytes: 0 };
    const order = { feed: 'hr', mode: 'full' as const, preview: false, approve: true, by: 'test', source };
    const { _id } = await requestRun(this.services, order);
    await this.queues.addImport(_id);
    await until(`the end of run ${_id}`, async () => (await store.runs.findOne({ _id }))?.finishedAt != null);
    const run = await store.runs.findOne({ _id });
    if (run?.state !== 'completed') throw new Error(`Run ${_id} is ${run?.state}: ${run?.error?.message}`);
  }

  /** Learners of all changes of a run, as often as the audit says that they were applied. */
  async applied(run: RunId): Promise<number[]> {
    const audits = await this.services.store.audit.find({ '_id.run': run, '_id.step': 'apply' }).toArray();
    return audits.flatMap(({ learners }) => learners as number[]).sort((a, b) => a - b);
  }

  stop(): void {
    for (const worker of this.#processes.splice(0)) worker.kill('SIGKILL');
  }

  async close(): Promise<void> {
    this.stop();
    await this.queues.close();
    this.queues.redis.disconnect();
    await this.services.store.close();
  }
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 60_000; !(await isSo()); ) {
    if (Date.now() > deadline) throw new Error(`There was no ${what} within a minute.`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** On the second night one learner in twenty has moved, and one in fifty has left. */
function night(number: number): string {
  const rows = Array.from({ length: LEARNERS }, (_, at) => {
    const moved = number > 1 && at % 20 === 3 ? 1 : 0;
    const status = number > 1 && at % 50 === 7 ? 'T' : 'A';
    return `${at},p${at}@x.org,First${at},Last${at},${status},${GROUPS[(at + moved) % GROUPS.length]}\n`;
  });
  const path = join(directory, `night${number}.csv`);
  writeFileSync(path, `EmployeeID,Mail,FirstName,LastName,Status,Groups\n${rows.join('')}`);
  return path;
}

const [alone, four] = [new Crew(freshDatabase()), new Crew(freshDatabase())];
beforeAll(async () => {
  await alone.open();
  await four.open();
});
afterEach(() => {
  alone.stop();
  four.stop();
});
afterAll(async () => {
  await alone.close();
  await four.close();
  rmSync(directory, { recursive: true, force: true });
});

test('four worker processes on one run leave the facts that one leaves', async () => {
  const nights = [night(1), night(2)];
  await alone.start(1);
  for (const path of nights) await alone.import(path);
  alone.stop();
  await four.start(4);
  for (const path of nights) await four.import(path);
  expect(await digest(four.services.store)).toBe(await digest(alone.services.store));
  expect(await verify(four.services, { repair: false })).toMatchObject({ drift: [] });
  expect(await four.services.store.outbox.countDocuments()).toBe(0);
  for (const run of await four.services.store.runs.find({}).toArray()) {
    const applied = await four.applied(run._id);
    expect(new Set(applied).size).toBe(applied.length);
    expect(applied).toEqual(await alone.applied(run._id));
  }
}, 180_000);
