import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { bullTelemetry } from '../telemetry/tracing.ts';
import { JOBS, type Job, type JobName } from './job.ts';
import { withPatience } from './patience.ts';

/** What waits in the outbox, as a job. */
export interface Waiting {
  readonly run: string;
  readonly batch: number;
  readonly job: Exclude<JobName, 'import'>;
  /** The trace of the run, for the job to carry; without it, that of the job at work. */
  readonly trace?: string | undefined;
}

/** How long Redis may take for thousands of jobs, ms. */
const MUCH = 10_000;

/** The producers' side: one BullMQ queue a kind of job, with ids that make a second `add` harmless. */
export class Queues {
  readonly #queues: ReadonlyMap<JobName, Queue>;
  readonly #jobs: ReadonlyMap<JobName, Pick<Job<never>, 'retry' | 'concurrency'>>;
  readonly prefix: string;
  readonly redis: Redis;
  /** Something may have failed to be enqueued since the relay last looked at everything that waits. */
  doubtful = false;

  constructor(redis: Redis, prefix: string, jobs: readonly Pick<Job<never>, 'name' | 'retry' | 'concurrency'>[]) {
    this.redis = redis;
    this.prefix = prefix;
    this.#jobs = new Map(jobs.map((job) => [job.name, job]));
    this.#queues = new Map(
      JOBS.map((name) => [name, new Queue(name, { connection: redis, prefix, ...bullTelemetry() })]),
    );
    // Without a listener an 'error' of the connection would end the process.
    for (const queue of this.#queues.values()) queue.on('error', () => undefined);
    redis.on('close', () => {
      this.doubtful = true;
    });
  }

  queue(name: JobName): Queue {
    return this.#queues.get(name) as Queue;
  }

  /** Tells Redis how many jobs of each kind may run at once in all processes together; an emptied one has forgotten. */
  async limit(): Promise<void> {
    for (const [name, { concurrency }] of this.#jobs) {
      if (concurrency?.global) await withPatience(this.queue(name).setGlobalConcurrency(concurrency.global));
    }
  }

  /** Enqueues batches. An entry that is enqueued already is left as it is. */
  async add(entries: readonly Waiting[]): Promise<void> {
    for (const name of JOBS) {
      const mine = entries.filter(({ job }) => job === name);
      if (mine.length === 0) continue;
      const jobs = mine.map(({ run, batch, trace }) => ({
        name,
        data: { run, batch },
        opts: { ...this.#options(name), ...carrying(trace), jobId: `${run}-${batch}-${name}` },
      }));
      await withPatience(this.queue(name).addBulk(jobs), MUCH).catch((error: unknown) => {
        this.doubtful = true;
        throw error;
      });
    }
  }

  /** BullMQ's state of a job: `waiting`, `active`, `delayed` …; null = it has none of that id. */
  async stateOf(id: string, name: JobName): Promise<string | null> {
    const state = await this.queue(name).getJobState(id);
    return state === 'unknown' ? null : state;
  }

  async addImport(run: string, trace?: string): Promise<void> {
    const opts = { ...this.#options('import'), ...carrying(trace), jobId: `import-${run}` };
    // `add` would carry the trace of its caller alone.
    await withPatience(this.queue('import').addBulk([{ name: 'import', data: { run }, opts }]));
  }

  #options(name: JobName) {
    const retry = this.#jobs.get(name)?.retry ?? { attempts: 1, delay: 1000 };
    return {
      attempts: retry.attempts,
      backoff: { type: 'exponential', delay: retry.delay, jitter: 0.5 },
      removeOnComplete: true,
      removeOnFail: true,
    };
  }

  async close(): Promise<void> {
    for (const queue of this.#queues.values()) await queue.close();
  }
}

function carrying(trace: string | undefined): { telemetry?: { metadata: string } } {
  return trace === undefined ? {} : { telemetry: { metadata: trace } };
}
