import { pino } from 'pino';
import { jobs } from '../jobs/all.ts';
import type { JobContext } from '../jobs/context.ts';
import { Queues } from '../src/queue/queues.ts';
import { connectRedis } from '../src/queue/redis.ts';
import { relay } from '../src/queue/relay.ts';
import { startWorkers, type Workers } from '../src/queue/workers.ts';
import { systemClock } from '../src/store/services.ts';
import { openStore } from '../src/store/store.ts';
import { Meter } from './measure.ts';
import type { Surroundings } from './tasks.ts';

const log = pino({ level: process.env.BENCH_LOG ?? 'warn' });
/** As `muster start` has it. */
const RELAY_EVERY = 1_000;
const CONCURRENCY = 2;

/** A whole Muster in this process: store, queues, workers, relay. */
export class Muster {
  readonly context: JobContext;
  readonly #redisUrl: string;
  #workers: Workers | undefined;
  #relay: NodeJS.Timeout | undefined;

  private constructor(context: JobContext, redisUrl: string) {
    this.context = context;
    this.#redisUrl = redisUrl;
  }

  static async open({ mongodbUri, redisUrl }: Surroundings, database: string): Promise<Muster> {
    const store = await openStore(databaseUri(mongodbUri, database));
    const queues = new Queues(
      connectRedis(redisUrl, 'producer', () => undefined),
      database,
      jobs,
    );
    return new Muster({ store, clock: systemClock, log, queues, purgeRetentionDays: 30, base: '/' }, redisUrl);
  }

  async work(): Promise<void> {
    if (this.#workers) return;
    const { context } = this;
    const redis = connectRedis(this.#redisUrl, 'worker', () => undefined);
    const workers = await startWorkers({ queues: context.queues, redis, jobs, context, concurrency: CONCURRENCY, log });
    this.#workers = {
      async stop(ms) {
        await workers.stop(ms);
        redis.disconnect();
      },
    };
    this.#relay = setInterval(() => void relay(context, context.queues).catch(() => undefined), RELAY_EVERY);
  }

  async close(): Promise<void> {
    clearInterval(this.#relay);
    await this.#workers?.stop(5_000);
    await this.context.queues.close();
    this.context.queues.redis.disconnect();
    await this.context.store.close();
  }
}

export function databaseUri(mongodbUri: string, database: string): string {
  const uri = new URL(mongodbUri);
  uri.pathname = `/${database}`;
  return uri.href;
}

/** What the tasks of one child share: the servers, and a Muster a database. */
export class Cast {
  readonly surroundings: Surroundings;
  readonly #open = new Map<string, Muster>();

  constructor(surroundings: Surroundings) {
    this.surroundings = surroundings;
  }

  meter(): Meter {
    return new Meter(this.surroundings.pids);
  }

  async muster(database: string): Promise<Muster> {
    const open = this.#open.get(database) ?? (await Muster.open(this.surroundings, database));
    this.#open.set(database, open);
    return open;
  }

  /** A Muster on an empty database: dropped, since what only was deleted keeps mongod busy for minutes. */
  async fresh(database: string): Promise<Muster> {
    const old = await this.muster(database);
    await old.context.store.connection.dropDatabase();
    await old.close();
    this.#open.delete(database);
    return this.muster(database);
  }

  async close(): Promise<void> {
    for (const muster of this.#open.values()) await muster.close();
  }
}
