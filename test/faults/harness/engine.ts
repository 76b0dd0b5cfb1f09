import { setTimeout as pause } from 'node:timers/promises';
import { type Logger, pino } from 'pino';
import { jobs } from '../../../jobs/all.ts';
import type { JobContext } from '../../../jobs/context.ts';
import { WORKING } from '../../../src/domain/run.ts';
import { sourceFile } from '../../../src/feed/sources/file.ts';
import { Queues } from '../../../src/queue/queues.ts';
import { connectRedis } from '../../../src/queue/redis.ts';
import { startWorkers } from '../../../src/queue/workers.ts';
import { dropTables } from '../../../src/run/advance.ts';
import { driveRun, interruptedRun } from '../../../src/run/drive.ts';
import { requestRun } from '../../../src/run/request.ts';
import { sweep } from '../../../src/run/sweep.ts';
import type { RunDoc } from '../../../src/store/models.ts';
import { type Clock, systemClock } from '../../../src/store/services.ts';
import { openStore, type Store } from '../../../src/store/store.ts';

export interface EngineOptions {
  readonly mongodbUri: string;
  readonly redisUrl: string;
  readonly prefix: string;
  /** How long a silent worker keeps its job, ms: seconds in production, so that a point would take seconds too. */
  readonly lock?: number;
  /** How often the sweep looks, ms. */
  readonly sweepEvery?: number;
  readonly clock?: Clock;
  readonly log?: Logger;
}

const SILENT = pino({ level: process.env.TEST_LOG ?? 'silent' });

/** What one process of Muster has open: as `muster import` and `muster worker` do it, without the command line. */
export class Engine {
  readonly options: EngineOptions;
  readonly store: Store;
  readonly queues: Queues;
  readonly context: JobContext;
  #stop: (() => Promise<void>) | undefined;

  private constructor(options: EngineOptions, store: Store) {
    this.options = options;
    this.store = store;
    const redis = connectRedis(options.redisUrl, 'producer', () => undefined);
    this.queues = new Queues(redis, options.prefix, jobs);
    const { clock = systemClock, log = SILENT } = options;
    this.context = { store, clock, log, queues: this.queues, purgeRetentionDays: 30, base: '/' };
  }

  static async open(options: EngineOptions): Promise<Engine> {
    const { mongodbUri, log = SILENT } = options;
    const lost = () => log.warn('MongoDB is not reachable: work waits');
    return new Engine(options, await openStore(mongodbUri, { monitorCommands: true, lost }));
  }

  /** Workers and the sweep, as in every process that works. */
  async work(): Promise<void> {
    if (this.#stop) return;
    const { context, queues, options } = this;
    const redis = connectRedis(options.redisUrl, 'worker', () => undefined);
    const workers = await startWorkers({
      queues,
      redis,
      jobs,
      context,
      concurrency: 2,
      log: context.log,
      ...(options.lock && { lock: options.lock }),
    });
    let ticking: Promise<void> = Promise.resolve();
    let stopped = false;
    const waits = (error: Error) => context.log.warn({ error: error.name }, 'sweep waits');
    const tick = () => {
      ticking = ticking.then(() => (stopped ? undefined : sweep(context, queues).catch(waits)));
    };
    const timer = setInterval(tick, options.sweepEvery ?? 100);
    this.#stop = async () => {
      stopped = true;
      clearInterval(timer);
      await ticking;
      await workers.stop(5_000);
      redis.disconnect();
    };
    tick();
  }

  async rest(): Promise<void> {
    await this.#stop?.();
    this.#stop = undefined;
  }

  /** As `muster import FILE`: first what was interrupted, then this file, to the end. */
  async import(path: string): Promise<RunDoc> {
    const { context } = this;
    const interrupted = await interruptedRun(context, 'hr');
    if (interrupted) {
      const its = interrupted.source.path ? await sourceFile(interrupted.source.path) : undefined;
      await this.drive(interrupted, its);
    }
    const file = await sourceFile(path);
    const source = { name: file.name, path: file.path, bytes: file.bytes };
    const run = await requestRun(context, {
      feed: 'hr',
      mode: 'full',
      preview: false,
      approve: false,
      by: 'test',
      source,
    });
    const ended = await this.drive(run, file);
    // A worker does so each minute.
    await dropTables(context);
    return ended;
  }

  drive(run: RunDoc, file?: Awaited<ReturnType<typeof sourceFile>>): Promise<RunDoc> {
    const order = { services: this.context, queues: () => Promise.resolve(this.queues), work: () => this.work() };
    return driveRun(order, run, file);
  }

  /** As `muster worker`: works until no run is under way and nothing waits. @throws after `ms`. */
  async recover(ms = 30_000): Promise<void> {
    await this.work();
    // A look that itself meets the fault is no answer.
    const rests = () => this.isAtRest().catch(() => false);
    for (const deadline = Date.now() + ms; !(await rests()); await pause(20)) {
      if (Date.now() > deadline) throw new Error(`Still not at rest after ${ms / 1000} s: ${await this.#left()}`);
    }
  }

  async isAtRest(): Promise<boolean> {
    const { runs, outbox } = this.store;
    return (await runs.findOne({ state: { $in: [...WORKING] } })) === null && (await outbox.findOne()) === null;
  }

  async #left(): Promise<string> {
    const runs = await this.store.runs.find({ state: { $in: [...WORKING] } }).toArray();
    const outbox = await this.store.outbox.find().toArray();
    return JSON.stringify({
      runs: runs.map(({ _id, state, attempt, lease }) => ({ _id, state, attempt, lease })),
      outbox,
    });
  }

  async close(): Promise<void> {
    await this.rest();
    await this.queues.close();
    this.queues.redis.disconnect();
    await this.store.close();
  }
}
