import type { NotifyEvent } from '../domain/news.ts';

/** What a message says of a run: figures, names of feeds, groups and limits; never of people. */
export interface Figures {
  readonly run: string;
  readonly feed: string;
  readonly state: string;
  /** The due time that the schedule ran it for. */
  readonly due: Date | null;
  readonly rows: Counts;
  readonly learners: Counts;
  readonly memberships: Counts;
  readonly subscriptions: Counts;
  readonly breaches: readonly Breach[];
  readonly problems: readonly { readonly code: string; readonly count: number }[];
  readonly setAside: number;
  /** Code of the error of a failed run. */
  readonly error: string | null;
  /** Runs that failed or were held, one after another. */
  readonly troubles: number;
  readonly startedAt: Date | null;
  readonly finishedAt: Date | null;
}
type Counts = Readonly<Record<string, number>>;
interface Breach {
  readonly limit: string;
  readonly value: number;
  readonly max: number;
  /** Only of limits that have two ends. */
  readonly min?: number;
  readonly group: string | null;
}

/** The body of a webhook. */
export interface Message {
  readonly type: string;
  /** Of the event. */
  readonly timestamp: Date;
  readonly data: Figures & { readonly event: NotifyEvent };
}

const ABOUT_FEEDS: ReadonlySet<NotifyEvent> = new Set(['quarantine', 'recovered']);

export function messageOf(event: NotifyEvent, timestamp: Date, figures: Figures): Message {
  return { type: `${ABOUT_FEEDS.has(event) ? 'feed' : 'run'}.${event}`, timestamp, data: { event, ...figures } };
}

/** A message as an e-mail. `link`: of the report of the run. */
export function mailOf({ data }: Message, link: string): { subject: string; text: string } {
  const { event, run, feed, rows, learners, memberships, breaches, problems, error, setAside } = data;
  const lines = [
    SAYS[event](data),
    '',
    ...(error === null ? [] : [`Error: ${error}`]),
    ...breaches.map(
      ({ limit, value, min, max, group }) =>
        `Limit ${limit}: ${value}, allowed ${min === undefined ? '' : `${min} to `}${max}${group === null ? '' : ` (group ${group})`}`,
    ),
    `Rows: ${counts(rows)}`,
    `Learners: ${counts(learners)}`,
    `Memberships: ${counts(memberships)}`,
    ...(setAside > 0 ? [`Set aside: ${setAside}`] : []),
    ...problems.map(({ code, count }) => `Problem ${code}: ${count}`),
    '',
    link,
    `muster runs show ${run}`,
    ...(event === 'quarantine' ? [`muster feeds release ${feed}`] : []),
  ];
  return { subject: `Muster: feed ${feed} ${SUBJECT[event]} (run ${run})`, text: `${lines.join('\n')}\n` };
}

const SUBJECT: Record<NotifyEvent, string> = {
  held: 'is held',
  failed: 'failed',
  'rejected-rows': 'has rejected rows',
  quarantine: 'runs no more by itself',
  recovered: 'has recovered',
};

const SAYS: Record<NotifyEvent, (figures: Figures) => string> = {
  held: ({ run, feed }) =>
    `Run ${run} of feed ${feed} is held: its plan breaks a limit. Nothing is changed until a person approves it.`,
  failed: ({ run, feed }) => `Run ${run} of feed ${feed} failed. Nothing was changed.`,
  'rejected-rows': ({ run, feed, rows }) =>
    `Run ${run} of feed ${feed} completed, and ${rows.rejected} of its rows were rejected.`,
  quarantine: ({ feed, troubles }) =>
    `Feed ${feed} failed or was held ${troubles} times running. It runs no more by itself until a person releases it.`,
  recovered: ({ run, feed }) => `Run ${run} of feed ${feed} completed, after one or more that failed or were held.`,
};

function counts(figures: Counts): string {
  return Object.entries(figures)
    .map(([name, count]) => `${count} ${name}`)
    .join(', ');
}
