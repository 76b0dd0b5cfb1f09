import { JOBS } from '../queue/job.ts';
import { withPatience } from '../queue/patience.ts';
import type { Queues } from '../queue/queues.ts';
import { nextDueTime } from '../settings/dueTimes.ts';
import type { FeedDoc, Scheduled } from '../store/models.ts';
import type { Store } from '../store/store.ts';
import type { FeedFigures, Figures, QueueFigures } from '../telemetry/metrics.ts';
import type { HttpContext } from './context.ts';

/** How long an answer is used again, ms: several scrapers cost the database no more than one. */
const FRESH = 5_000;

/** Reads what the database and the queue say, for the metrics. */
export function figuresOf(context: HttpContext): () => Promise<Figures> {
  let last: Promise<Figures> | undefined;
  let until = 0;
  return () => {
    if (!last || performance.now() > until) {
      until = performance.now() + FRESH;
      last = readFigures(context);
      last.catch(() => {
        last = undefined;
      });
    }
    return last;
  };
}

async function readFigures({ store, queues, clock }: HttpContext): Promise<Figures> {
  const now = clock.now().getTime();
  const [runs, feeds, changes, setAside, outbox, oldest, redis] = await Promise.all([
    countBy(store.runs, '$state'),
    readFeeds(store, now),
    readChanges(store),
    countBy(store.setAside, '$job'),
    countBy(store.outbox, '$job'),
    atWorkSince(store),
    readQueues(queues, now),
  ]);
  return {
    runs: runs.map(({ key, count }) => ({ state: key, count })),
    feeds,
    changes,
    setAside: setAside.map(({ key, count }) => ({ job: key, count })),
    outbox: outbox.map(({ key, count }) => ({ job: key, count })),
    oldestRunSeconds: oldest === undefined ? 0 : Math.max(0, (now - oldest) / 1000),
    ...redis,
  };
}

/** Since when the run that has been at work longest is; while it was held it waited for a person. */
async function atWorkSince(store: Store): Promise<number | undefined> {
  const runs = await store.runs
    .find({ state: { $in: ['reading', 'applying', 'reconciling'] } }, { projection: { createdAt: 1, history: 1 } })
    .toArray();
  const began = runs.map(({ createdAt, history }) => {
    const last = history.findLast(({ state }) => state === 'reading' || state === 'applying');
    return (last?.at ?? createdAt).getTime();
  });
  return began.length > 0 ? Math.min(...began) : undefined;
}

async function countBy(
  collection: Pick<Store['runs'], 'aggregate'>,
  field: string,
): Promise<{ key: string; count: number }[]> {
  const sums = await collection
    .aggregate<{ _id: string; count: number }>([{ $group: { _id: field, count: { $sum: 1 } } }])
    .toArray();
  return sums.map(({ _id, count }) => ({ key: _id, count }));
}

const sumOf = (path: string) => ({ $sum: `$${path}` });

async function readFeeds(store: Store, now: number): Promise<FeedFigures[]> {
  const sums = await store.runs
    .aggregate<{ _id: string; at: Date; read: number; accepted: number; rejected: number }>([
      { $match: { kind: 'feed', state: 'completed' } },
      {
        $group: {
          _id: '$feed',
          at: { $max: '$finishedAt' },
          read: sumOf('outcome.rows.read'),
          accepted: sumOf('outcome.rows.accepted'),
          rejected: sumOf('outcome.rows.rejected'),
        },
      },
    ])
    .toArray();
  const done = new Map(sums.map((sum) => [sum._id, sum]));
  const projection = { past: 1, schedule: 1, scheduled: 1 };
  const feeds = await store.feeds.find({ origin: { $ne: 'one-off' } }, { projection }).toArray();
  return feeds.map(({ _id: feed, past, schedule, scheduled }) => {
    const sum = done.get(feed);
    const rows = (of: keyof NonNullable<typeof past>) => (past?.[of] ?? 0) + (sum?.[of] ?? 0);
    return {
      feed,
      rows: { read: rows('read'), accepted: rows('accepted'), rejected: rows('rejected') },
      ...(sum && { lastSuccessAge: (now - sum.at.getTime()) / 1000 }),
      ...(schedule?.cron !== undefined && scheduled && { overdue: overdue(schedule, scheduled, sum?.at, now) }),
    };
  });
}

function overdue(
  { cron = '', timeZone }: NonNullable<FeedDoc['schedule']>,
  { since }: Scheduled,
  done: Date | undefined,
  now: number,
): number {
  const first = nextDueTime({ cron, timeZone }, done && done > since ? done : since);
  return first ? Math.max(0, (now - first.getTime()) / 1000) : 0;
}

const CHANGES = {
  'memberships-added': 'memberships.added',
  'memberships-removed': 'memberships.removed',
  'learners-created': 'learners.created',
  'learners-deactivated': 'learners.deactivated',
  subscribed: 'subscriptions.subscribed',
  reactivated: 'subscriptions.reactivated',
  expired: 'subscriptions.expired',
  purged: 'subscriptions.purged',
  kept: 'subscriptions.kept',
};

async function readChanges(store: Store): Promise<Record<string, number>> {
  const sums = Object.entries(CHANGES).map(([kind, path]) => [
    kind,
    { $sum: { $ifNull: [`$outcome.${path}`, `$report.${path}`] } },
  ]);
  const [found] = await store.runs
    .aggregate<Record<string, number>>([
      { $match: { state: 'completed' } },
      { $group: { _id: null, ...Object.fromEntries(sums) } },
      { $project: { _id: 0 } },
    ])
    .toArray();
  return found ?? Object.fromEntries(Object.keys(CHANGES).map((kind) => [kind, 0]));
}

async function readQueues(queues: Queues, now: number): Promise<Pick<Figures, 'queues' | 'workers'>> {
  const read = async () => ({
    queues: await Promise.all(JOBS.map((job) => readQueue(queues, job, now))),
    workers: await queues.queue('apply').getWorkersCount(),
  });
  return withPatience(read()).catch(() => ({ queues: [], workers: 0 }));
}

async function readQueue(queues: Queues, job: (typeof JOBS)[number], now: number): Promise<QueueFigures> {
  const queue = queues.queue(job);
  const [{ waiting = 0, active = 0, delayed = 0 }, [oldest]] = await Promise.all([
    queue.getJobCounts('waiting', 'active', 'delayed'),
    queue.getJobs(['waiting'], 0, 0, true),
  ]);
  return { job, waiting, active, delayed, ageSeconds: oldest ? Math.max(0, (now - oldest.timestamp) / 1000) : 0 };
}
