import { WORKING } from '../domain/run.ts';
import { withPatience } from '../queue/patience.ts';
import { ofRun } from '../store/outbox.ts';
import type { HttpContext } from './context.ts';

/** A run at work that has not moved for this long, ms, though a worker is up, is stuck. */
export const STUCK_AFTER = 10 * 60_000;
/** How often progress is looked at, ms. */
export const LOOK = 15_000;

export interface Readiness {
  readonly ready: boolean;
  readonly checks: {
    readonly store: 'ok' | 'unreachable';
    readonly redis: 'ok' | 'unreachable';
    /** `stuck`: a run has made no progress for ten minutes, though a worker is up. */
    readonly work: 'ok' | 'stuck' | 'unknown';
  };
  readonly workers: number;
}

/**
 * Whether this process can work. What counts is progress, not a ping: for each run at work the signs that it moves
 * (state, try, batches left, its reader's lease) are compared with those of before.
 */
export class ReadinessCheck {
  readonly #context: HttpContext;
  #seen = new Map<string, { signs: string; at: number }>();

  constructor(context: HttpContext) {
    this.#context = context;
  }

  async check(): Promise<Readiness> {
    const { store, queues } = this.#context;
    const [stored, redis, workers] = await Promise.all([
      withPatience(store.connection.db?.command({ ping: 1 }) ?? Promise.reject(new Error('closed'))).then(
        () => 'ok' as const,
        () => 'unreachable' as const,
      ),
      withPatience(queues.redis.ping()).then(
        () => 'ok' as const,
        () => 'unreachable' as const,
      ),
      withPatience(queues.queue('apply').getWorkersCount()).catch(() => 0),
    ]);
    const stuck = stored === 'ok' ? await withPatience(this.stuckRuns()).catch(() => undefined) : undefined;
    const work = stuck === undefined ? 'unknown' : stuck.length > 0 && workers > 0 ? 'stuck' : 'ok';
    return {
      ready: stored === 'ok' && redis === 'ok' && work === 'ok',
      checks: { store: stored, redis, work },
      workers,
    };
  }

  /** Runs that have not moved for STUCK_AFTER, as far as this process has been looking. */
  async stuckRuns(): Promise<string[]> {
    const { store, clock } = this.#context;
    const now = clock.now().getTime();
    const runs = await store.runs.find({ state: { $in: WORKING }, finishedAt: null }).toArray();
    const busy = new Set(runs.filter(({ working }) => working).map(({ feed }) => feed));
    const seen = new Map<string, { signs: string; at: number }>();
    for (const run of runs) {
      if (run.preview && run.state === 'planned') continue;
      if (run.state === 'queued' && busy.has(run.feed)) continue;
      const left = await store.outbox.countDocuments(ofRun(run._id));
      const signs = JSON.stringify([run.state, run.attempt, left, run.lease?.until, run.keeping?.batches]);
      const before = this.#seen.get(run._id);
      seen.set(run._id, before?.signs === signs ? before : { signs, at: now });
    }
    this.#seen = seen;
    return [...seen].filter(([, { at }]) => now - at >= STUCK_AFTER).map(([run]) => run);
  }
}
