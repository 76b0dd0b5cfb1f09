import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/**
 * Everything that Prometheus reads of this process. Durations and requests are counted as they happen, here alone;
 * what the database and the queue know (`figures`) is the same from every process of the environment. Labels are
 * names of feeds, jobs and states: never ids of runs or people.
 */
export const registry = new Registry();
collectDefaultMetrics({ register: registry });

const registers = [registry];

export const jobSeconds = new Histogram({
  name: 'muster_job_duration_seconds',
  help: 'How long jobs took, by their end.',
  labelNames: ['job', 'end'] as const,
  buckets: [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300],
  registers,
});

export const requestSeconds = new Histogram({
  name: 'muster_http_request_duration_seconds',
  help: 'How long answers of the API took, by route and status.',
  labelNames: ['method', 'route', 'status'] as const,
  buckets: [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
  registers,
});

/** What the database and the queue say at one moment. */
export interface Figures {
  readonly runs: readonly { readonly state: string; readonly count: number }[];
  readonly feeds: readonly FeedFigures[];
  readonly changes: Readonly<Record<string, number>>;
  readonly setAside: readonly { readonly job: string; readonly count: number }[];
  readonly outbox: readonly { readonly job: string; readonly count: number }[];
  /** Empty where Redis cannot be reached. */
  readonly queues: readonly QueueFigures[];
  readonly oldestRunSeconds: number;
  readonly workers: number;
}

export interface FeedFigures {
  readonly feed: string;
  readonly rows: { readonly read: number; readonly accepted: number; readonly rejected: number };
  /** Since the last run that completed, seconds; undefined = none did yet. */
  readonly lastSuccessAge?: number;
  /** Since the first due time after which no run completed, seconds; 0 = none has passed. Undefined: it has no schedule. */
  readonly overdue?: number;
}

export interface QueueFigures {
  readonly job: string;
  readonly waiting: number;
  readonly active: number;
  readonly delayed: number;
  /** Of the job that waits longest, seconds. */
  readonly ageSeconds: number;
}

const gauge = <Label extends string>(name: string, help: string, ...labelNames: Label[]) =>
  new Gauge<Label>({ name, help, labelNames, registers });
const counter = <Label extends string>(name: string, help: string, ...labelNames: Label[]) =>
  new Counter<Label>({ name, help, labelNames, registers });

const runs = gauge('muster_runs', 'Runs that are stored, by state.', 'state');
const held = gauge('muster_runs_held', 'Runs that wait for approval.');
const rows = counter(
  'muster_rows_total',
  'Rows of completed runs, by feed and what became of them.',
  'feed',
  'outcome',
);
const changes = counter(
  'muster_changes_total',
  'Changes of memberships, learners and subscriptions by completed runs.',
  'kind',
);
const setAside = gauge('muster_set_aside', 'Operations that could not be applied and wait for a retry.', 'job');
const outbox = gauge('muster_outbox', 'Batches that wait in the database, by job.', 'job');
const depth = gauge('muster_queue_jobs', 'Jobs in Redis, by job and state.', 'job', 'state');
const age = gauge('muster_queue_age_seconds', 'How long the oldest waiting job has waited.', 'job');
const oldestRun = gauge('muster_oldest_run_seconds', 'Age of the oldest run at work; 0 = none.');
const workers = gauge('muster_workers', 'Workers that are connected to Redis.');
const success = gauge('muster_feed_last_success_age_seconds', "Since the feed's last completed run.", 'feed');

const overdue = gauge(
  'muster_feed_overdue_seconds',
  'Since the first scheduled time after which no run of the feed completed; 0 = none has passed.',
  'feed',
);

/** The registry in Prometheus' text format, with these figures. */
export function exposition(figures: Figures): Promise<string> {
  for (const metric of [runs, rows, changes, setAside, outbox, depth, age, success, overdue]) metric.reset();
  for (const { state, count } of figures.runs) runs.set({ state }, count);
  held.set(figures.runs.find(({ state }) => state === 'held')?.count ?? 0);
  for (const { feed, rows: of, lastSuccessAge, overdue: late } of figures.feeds) {
    for (const [outcome, count] of Object.entries(of)) rows.inc({ feed, outcome }, count);
    if (lastSuccessAge !== undefined) success.set({ feed }, lastSuccessAge);
    if (late !== undefined) overdue.set({ feed }, late);
  }
  for (const [kind, count] of Object.entries(figures.changes)) changes.inc({ kind }, count);
  for (const { job, count } of figures.setAside) setAside.set({ job }, count);
  for (const { job, count } of figures.outbox) outbox.set({ job }, count);
  for (const { job, ageSeconds, ...states } of figures.queues) {
    for (const [state, count] of Object.entries(states)) depth.set({ job, state }, count);
    age.set({ job }, ageSeconds);
  }
  oldestRun.set(figures.oldestRunSeconds);
  workers.set(figures.workers);
  return registry.metrics();
}
