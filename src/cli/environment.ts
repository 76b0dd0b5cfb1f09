import { join, resolve } from 'node:path';
import { type Logger, pino } from 'pino';
import { jobs } from '../../jobs/all.ts';
import { framesOf } from '../domain/errors.ts';
import { sayOn } from '../embedded/say.ts';
import { type EmbeddedServers, startEmbedded } from '../embedded/servers.ts';
import { deliverNotifications } from '../notify/deliver.ts';
import { atMost } from '../queue/atMost.ts';
import { Queues } from '../queue/queues.ts';
import { connectRedis } from '../queue/redis.ts';
import { checkRedis } from '../queue/serverCheck.ts';
import { startWorkers } from '../queue/workers.ts';
import { dropTables } from '../run/advance.ts';
import { continueErasures } from '../run/erase.ts';
import { sendReports } from '../run/reports/send.ts';
import { endRetention } from '../run/retention.ts';
import { sweep } from '../run/sweep.ts';
import { traceRun } from '../run/traceRun.ts';
import { every } from '../schedule/rounds.ts';
import { startScheduler } from '../schedule/ticker.ts';
import { type Env, readEnv } from '../settings/env.ts';
import { retentionOf } from '../settings/retention.ts';
import { tellingOf } from '../settings/telling.ts';
import { initiateReplicaSet } from '../store/replicaSet.ts';
import { type Services, systemClock } from '../store/services.ts';
import { openStore, type Store } from '../store/store.ts';
import { startTracing } from '../telemetry/tracing.ts';
import { applyFeedFiles } from './feedFiles.ts';
import { plainLog } from './plainLog.ts';
import { applyReportFiles } from './reportFiles.ts';
import { unreachable } from './unreachable.ts';
import { version } from './version.ts';

/** How often the database is looked through for work that nobody does yet, ms. */
const SWEEP = 1_000;
/** How often somebody looks for what is to be taken away, ms. */
const TIDY = 60_000;
/** How long a command that somebody waits for looks for MongoDB, ms. */
const PATIENCE = 10_000;
/** What closing may take in all, ms; what is still open then ends with the process, as by a kill (R24), */
export const LAST = 9_000;
/** and how much of that is left to what is closed when the running jobs have ended, ms. */
const AFTER_JOBS = 1_000;

/** The open environment: one database, and one key prefix in Redis. */
export interface Muster {
  readonly env: Env;
  readonly store: Store;
  readonly services: Services;
  /** The queues. Redis is connected to, or started, when they are first asked for. */
  queues(): Promise<Queues>;
  /** Workers in this process, and the sweep that gives them what was left behind, from the first call until `close`. `imports`: runs of feeds too, also those that are due, and messages to people. */
  work(options?: { imports: boolean }): Promise<void>;
  /** At most until then, by `performance.now()`; unset = for `LAST`. */
  close(until?: number): Promise<void>;
}

export interface OpenOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly directory: string;
  readonly stderr: NodeJS.WritableStream;
  /** A process that stays: its log is JSON, at LOG_LEVEL. Otherwise words, from `warn` on where LOG_LEVEL is not set. */
  readonly service: boolean;
}

/**
 * Opens the environment that the variables name; where no server is named, the embedded ones are started, or joined.
 * The feeds and reports of `config/feeds` and `config/reports` below the directory are applied.
 */
export async function openMuster(options: OpenOptions): Promise<Muster> {
  const env = readEnv(options.env, options.directory);
  const log = logger(env, options);
  const dataDir = resolve(options.directory, env.MUSTER_DATA);
  const embedded: EmbeddedServers[] = [];
  const closing: ((left: number) => Promise<unknown>)[] = [];
  let queues: Promise<Queues> | undefined;
  let working: Promise<void> | undefined;

  const close = async (until = performance.now() + LAST): Promise<void> => {
    for (const end of closing.splice(0).reverse()) {
      const left = until - performance.now();
      await atMost(left, end(left)).catch((error) => log.warn({ at: framesOf(error) }, 'not closed'));
    }
  };
  try {
    const { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint } = env;
    if (endpoint !== undefined) closing.push(await startTracing(endpoint, version()));
    const uri = env.MONGODB_URI ?? (await start('mongodb'));
    const patience = options.service ? {} : { serverSelectionTimeoutMS: PATIENCE };
    const lost = () => log.warn('MongoDB is not reachable: work waits');
    const store = await openStore(uri, { ...patience, lost, rested: traceRun }).catch((error) => {
      throw unreachable('MongoDB', env.MONGODB_URI && 'MONGODB_URI', error);
    });
    closing.push(() => store.close());
    const services: Services = { store, clock: systemClock, log, purgeRetentionDays: env.PURGE_RETENTION_DAYS };
    await applyFeedFiles(store, join(options.directory, 'config', 'feeds'));
    await applyReportFiles(services, join(options.directory, 'config', 'reports'));
    return {
      env,
      store,
      services,
      queues: () => (queues ??= openQueues()),
      work: (what = { imports: false }) => (working ??= work(services, what.imports)),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }

  async function start(server: 'mongodb' | 'redis'): Promise<string> {
    const servers = await startEmbedded({
      dataDir,
      need: { mongodb: server === 'mongodb', redis: server === 'redis' },
      say: sayOn(options.stderr as NodeJS.WriteStream),
      initiate: initiateReplicaSet,
      mongodCacheGB: env.MUSTER_MONGOD_CACHE_GB,
    });
    embedded.push(servers);
    closing.push(servers.stop);
    return (server === 'mongodb' ? servers.mongodbUri : servers.redisUrl) as string;
  }

  async function connect(use: 'producer' | 'worker') {
    const url = env.REDIS_URL ?? (await start('redis'));
    const redis = connectRedis(url, use, (error) =>
      log.warn({ code: (error as NodeJS.ErrnoException).code ?? error.name }, 'Redis is not reachable'),
    );
    closing.push(async () => redis.disconnect());
    return redis;
  }

  async function openQueues(): Promise<Queues> {
    const redis = await connect('producer');
    await checkRedis(redis).catch((error) => {
      throw unreachable('Redis', env.REDIS_URL && 'REDIS_URL', error);
    });
    const opened = new Queues(redis, env.MUSTER_PREFIX, jobs);
    closing.push(() => opened.close());
    return opened;
  }

  async function work(services: Services, imports: boolean): Promise<void> {
    const opened = await (queues ??= openQueues());
    const workers = await startWorkers({
      queues: opened,
      redis: await connect('worker'),
      jobs: imports ? jobs : jobs.filter(({ name }) => name !== 'import'),
      context: { ...services, queues: opened, base: options.directory },
      concurrency: env.WORKER_CONCURRENCY,
      log,
    });
    const rounds = [
      every(
        SWEEP,
        () => sweep(services, opened),
        (error) => log.warn({ error: error.name }, 'sweep waits'),
      ),
    ];
    if (imports) {
      const telling = tellingOf(env);
      const deliver = (stopping: AbortSignal) => deliverNotifications(services, telling, stopping);
      rounds.push(every(SWEEP, deliver, (error) => log.warn({ error: error.name }, 'notifications wait')));
      const send = (stopping: AbortSignal) => sendReports(services, telling, stopping);
      rounds.push(every(SWEEP, send, (error) => log.warn({ error: error.name }, 'reports wait')));
      rounds.push(startScheduler(services, opened));
      const places = { base: options.directory, data: dataDir };
      const retention = retentionOf(env);
      const tidy = async () => {
        await continueErasures(services, places);
        await endRetention(services, retention);
        await dropTables(services);
      };
      rounds.push(every(TIDY, tidy, (error) => log.warn({ error: error.name }, 'erasures and retention wait')));
    }
    closing.push((left) => {
      const most = left - AFTER_JOBS;
      return atMost(most, Promise.all([...rounds.map((round) => round.stop()), workers.stop(most)]));
    });
  }
}

function logger(env: Env, { env: given, service, stderr }: OpenOptions): Logger {
  const quiet = !service && !given.LOG_LEVEL && env.LOG_LEVEL === 'info';
  const options = { level: quiet ? 'warn' : env.LOG_LEVEL, base: null };
  return service ? pino(options, stderr as NodeJS.WriteStream) : pino(options, plainLog(stderr));
}
