import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Logger, pino } from 'pino';
import { afterAll, beforeAll } from 'vitest';
import { jobs } from '../jobs/all.ts';
import type { JobContext } from '../jobs/context.ts';
import type { CourseId, ExternalId, GroupId, LearnerId, RunId } from '../src/domain/ids.ts';
import { isWorking } from '../src/domain/run.ts';
import { sourceFile } from '../src/feed/sources/file.ts';
import { Queues } from '../src/queue/queues.ts';
import { connectRedis } from '../src/queue/redis.ts';
import { startWorkers, type Workers } from '../src/queue/workers.ts';
import { enqueueRun } from '../src/run/enqueue.ts';
import { executeRun } from '../src/run/execute.ts';
import { type RunReport, reportOf } from '../src/run/report.ts';
import { requestRun } from '../src/run/request.ts';
import { importStructure, type StructureImport } from '../src/run/structureChange.ts';
import { sweep } from '../src/run/sweep.ts';
import { traceRun } from '../src/run/traceRun.ts';
import { readFeedFile } from '../src/settings/feed.ts';
import { saveFeed } from '../src/store/feeds.ts';
import { learnersByExternalId, toLearner } from '../src/store/learners.ts';
import type { RunDoc } from '../src/store/models.ts';
import { readRun } from '../src/store/runs.ts';
import type { Services } from '../src/store/services.ts';
import { openStore, type Store } from '../src/store/store.ts';
import { readCourses, readStructure } from '../src/store/structure.ts';
import { freshDatabase } from './servers.ts';

/** A clock that tests set: it stands still until it is told to go on. */
export class TestClock {
  #now = new Date('2026-01-10T02:00:00Z');
  now(): Date {
    return this.#now;
  }
  set(now: Date | string): void {
    this.#now = new Date(now);
  }
  forward(ms: number): void {
    this.#now = new Date(this.#now.getTime() + ms);
  }
}

export interface ImportOptions {
  readonly feed?: string;
  readonly preview?: boolean;
  readonly approve?: boolean;
}

/** A whole Muster on the shared test servers with a database and key prefix of its own: real store, queues and workers. */
export class TestMuster {
  readonly clock = new TestClock();
  readonly log: Logger;
  store!: Store;
  queues!: Queues;
  context!: JobContext;
  mongodbUri = '';
  redisUrl = '';
  #workers: Workers | undefined;
  #relay: NodeJS.Timeout | undefined;
  #sweeping: Promise<void> | undefined;
  readonly directory = mkdtempSync(join(tmpdir(), 'muster-test-'));
  #files = 0;

  constructor(log: Logger = pino({ level: process.env.TEST_LOG ?? 'silent' })) {
    this.log = log;
  }

  async open(uri: string, redisUrl: string, prefix: string): Promise<void> {
    this.mongodbUri = uri;
    this.store = await openStore(uri, { rested: traceRun });
    this.queues = new Queues(
      connectRedis(redisUrl, 'producer', () => undefined),
      prefix,
      jobs,
    );
    const { store, clock, log, queues } = this;
    this.context = { store, clock, log, queues, purgeRetentionDays: 30, base: this.directory };
    this.redisUrl = redisUrl;
    await this.startWorkers();
  }

  async startWorkers(): Promise<void> {
    const redis = connectRedis(this.redisUrl, 'worker', () => undefined);
    const { queues, context, log } = this;
    const workers = await startWorkers({ queues, redis, jobs, context, concurrency: 2, log });
    this.#workers = {
      async stop(ms) {
        await workers.stop(ms);
        redis.disconnect();
      },
    };
    let free = true;
    this.#relay = setInterval(() => {
      if (!free) return;
      free = false;
      this.#sweeping = sweep(context, queues)
        .catch(() => undefined)
        .finally(() => {
          free = true;
        });
    }, 200);
  }

  /** Takes every key of this Muster out of Redis: a total loss, as far as it can see. */
  async emptyRedis(): Promise<number> {
    const { redis, prefix } = this.queues;
    const keys = await redis.keys(`${prefix}:*`);
    return keys.length > 0 ? redis.del(...keys) : 0;
  }

  async stopWorkers(): Promise<void> {
    clearInterval(this.#relay);
    // A transaction that is cut off by closing the store would hold its locks for a minute.
    await this.#sweeping;
    await this.#workers?.stop(5_000);
    this.#workers = undefined;
  }

  async close(): Promise<void> {
    await this.stopWorkers();
    await this.queues.close();
    this.queues.redis.disconnect();
    await this.store.close();
    rmSync(this.directory, { recursive: true, force: true });
  }

  file(text: string | Uint8Array): string {
    this.#files += 1;
    const path = join(this.directory, `feed-${this.#files}.csv`);
    writeFileSync(path, text);
    return path;
  }

  async feed(yaml: string): Promise<string> {
    const settings = readFeedFile(yaml, 'test.yaml');
    await saveFeed(this.store, yaml, settings, 'database');
    return settings.name;
  }

  /** Imports a file through the whole flow; returns the report when the run has come to rest. */
  async import(
    text: string | Uint8Array,
    { feed = 'hr', preview = false, approve = false }: ImportOptions = {},
  ): Promise<RunReport> {
    const run = await this.read(text, { feed, preview, approve });
    return reportOf(this.store, await this.settled(run._id));
  }

  /** Reads, plans and starts a run; its batches are applied by the workers afterwards. */
  async read(
    text: string | Uint8Array,
    { feed = 'hr', preview = false, approve = false }: ImportOptions = {},
  ): Promise<RunDoc> {
    const file = await sourceFile(this.file(text));
    const source = { name: file.name, path: file.path, bytes: file.bytes };
    const run = await requestRun(this.context, { feed, mode: 'full', preview, approve, by: 'test', source });
    const read = await executeRun(this.context, run, file);
    if (read.state === 'applying') await enqueueRun(this.store, this.queues, run._id);
    return read;
  }

  /** Waits until the run is neither reading nor working. */
  async settled(id: RunId): Promise<RunDoc> {
    for (const deadline = Date.now() + 60_000; ; ) {
      const run = (await readRun(this.store, id)) as RunDoc;
      if (Date.now() > deadline) throw new Error(`Run ${id} is still ${run.state} after 60 s.`);
      if (!isWorking(run.state) || (run.preview && run.state === 'planned')) return run;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async structure(structure: Omit<StructureImport, 'by'>): Promise<void> {
    await importStructure(this.context, { ...structure, by: 'test' });
  }

  async group(externalId: string): Promise<GroupId> {
    const group = (await readStructure(this.store)).byExternalId(externalId as ExternalId);
    if (!group) throw new Error(`no group ${externalId}`);
    return group.id;
  }

  async course(externalId: string): Promise<CourseId> {
    const course = [...(await readCourses(this.store)).values()].find((one) => one.externalId === externalId);
    if (!course) throw new Error(`no course ${externalId}`);
    return course.id;
  }

  async learner(externalId: string): Promise<LearnerId> {
    const learner = (await learnersByExternalId(this.store, [externalId as ExternalId])).get(externalId as ExternalId);
    if (!learner) throw new Error(`no learner ${externalId}`);
    return learner.id;
  }

  /** `course: status` of a learner, a direct grant marked with `*`, sorted. */
  async subscriptions(externalId: string): Promise<string[]> {
    const held = await this.store.subscriptions.findOne({ _id: await this.learner(externalId) });
    const courses = await readCourses(this.store);
    return (held?.items ?? [])
      .map(({ course, status, direct }) => `${courses.get(course)?.externalId}: ${status}${direct ? '*' : ''}`)
      .sort();
  }

  /** External IDs of the learner's groups, sorted, with the sources that hold each. */
  async memberships(externalId: string): Promise<string[]> {
    const structure = await readStructure(this.store);
    const doc = await this.store.learners.findOne({ _id: await this.learner(externalId) });
    if (!doc) return [];
    return toLearner(doc)
      .memberships.map(
        ({ group, sources }) =>
          `${structure.group(group)?.externalId}: ${sources.map(({ source }) => source).join('+')}`,
      )
      .sort();
  }
}

/** One Muster for the test file, opened before and closed after its tests. */
export function useMuster(log?: Logger): TestMuster {
  const servers = freshDatabase();
  const muster = new TestMuster(log);
  beforeAll(() => muster.open(servers.mongodbUri, servers.redisUrl, servers.prefix));
  afterAll(() => muster.close());
  return muster;
}

/** The services of a process that is killed when it begins its n-th transaction. */
export function dying({ context }: TestMuster, n: number): Services {
  let begun = 0;
  const transaction: Store['transaction'] = async (work) => {
    begun += 1;
    if (begun >= n) throw new Error('killed');
    return context.store.transaction(work);
  };
  return { ...context, store: { ...context.store, transaction } };
}

export const HR = `
name: hr
learner:
  externalId: EmployeeID
  email: { column: Mail, optional: true }
  firstName: { column: FirstName, optional: true }
  lastName: { column: LastName, optional: true }
  status: { column: Status, active: [A], left: [T] }
groups:
  - { column: Groups, separator: ";" }
`;

export const COMPANY: Omit<StructureImport, 'by'> = {
  courses: ['safety', 'sales', 'welcome'].map((id) => ({ externalId: id as ExternalId, name: `Course ${id}` })),
  groups: [
    { externalId: 'all' as ExternalId, name: 'All learners', courses: ['welcome' as ExternalId] },
    {
      externalId: 'sector-a' as ExternalId,
      name: 'Sector A',
      parent: 'all' as ExternalId,
      courses: ['safety' as ExternalId],
    },
    {
      externalId: 'sector-b' as ExternalId,
      name: 'Sector B',
      parent: 'all' as ExternalId,
      courses: ['sales' as ExternalId, 'safety' as ExternalId],
    },
    { externalId: 'lone' as ExternalId, name: 'Lone group' },
  ],
};
