import { z } from 'zod';
import { RUN_STATES } from '../domain/run.ts';
import { Address, anyway, type DeepReadonly, expected, Schedule, Text } from './feed-schema.ts';
import { type FileKind, readSettings, readSettingsFile } from './file.ts';
import { isMoment } from './moment.ts';
import { nearest } from './nearest.ts';
import {
  COLUMNS,
  columnOf,
  FIGURES,
  OF_ROWS,
  readFigure,
  SUBJECTS,
  type Subject,
  USUAL_COLUMNS,
} from './reportColumns.ts';

export const REPORT_FORMATS = ['csv', 'xlsx', 'json'] as const;
export type ReportFormat = (typeof REPORT_FORMATS)[number];

/** Stretches of time that move with the day on which the report is made; those of a week begin on Monday. */
// biome-ignore format: a list to be read at a glance
export const PERIODS = [
  'today', 'yesterday', 'this-week', 'last-week', 'this-month', 'last-month', 'this-year', 'last-year',
  'last-7-days', 'last-30-days', 'last-365-days', 'next-7-days', 'next-30-days',
] as const;
export type Period = (typeof PERIODS)[number];

/** Roles that a report can be shared with: a reseller sees no learner. */
export const REPORT_ROLES = ['administrator', 'operator', 'instructor'] as const;

/** What `filter.status` may say of each subject. */
const STATUS: Partial<Record<Subject, readonly string[]>> = {
  learners: ['active', 'inactive'],
  subscriptions: ['active', 'expired'],
  memberships: ['current', 'future', 'past'],
};
/** The column that `filter.dates` is about where it names none. */
const USUAL_DATE: Partial<Record<Subject, string>> = {
  subscriptions: 'since',
  progress: 'updatedAt',
  memberships: 'validUntil',
  runs: 'createdAt',
};
const OF_LEARNERS: readonly Subject[] = ['learners', 'subscriptions', 'progress', 'memberships'];
const FILTERS: Readonly<Record<string, readonly Subject[]>> = {
  groups: OF_LEARNERS,
  subenvironments: OF_LEARNERS,
  attributes: OF_LEARNERS,
  learnerStatus: ['subscriptions', 'progress', 'memberships'],
  courses: ['subscriptions', 'progress'],
  completion: ['subscriptions', 'progress'],
  status: ['learners', 'subscriptions', 'memberships'],
  state: ['runs'],
  feeds: ['runs'],
  dates: ['subscriptions', 'progress', 'memberships', 'runs'],
};

const Names = z.array(Text, { error: 'must be a list of names' }).min(1, 'must name one at the least').max(1_000);
const Few = z.array(Text, { error: 'must be a list of names' }).min(1, 'must name one at the least').max(60);
const Moment = Text.refine(
  (text) => /^\d{4}-\d{2}-\d{2}(T.+)?$/.test(text) && isMoment(text),
  'must be a date such as 2026-01-31, or 2026-01-31T09:00:00Z',
);
const Percent = z.number({ error: 'must be a number from 0 to 100' }).min(0).max(100);

const Filter = z.strictObject({
  /** Learner groups with those below. */
  groups: Names.optional(),
  /** Groups that are linked to one of these, with those below. */
  subenvironments: Names.optional(),
  learnerStatus: z.enum(['active', 'inactive']).optional(),
  /** Attribute → its possible values, exactly; an empty text: who has none. */
  attributes: z
    .record(
      z.string().min(1).max(100),
      z.array(z.string().trim().max(2_000)).min(1, 'must name one at the least').max(1_000),
    )
    .refine((names) => Object.keys(names).length <= 20, 'must be 20 attributes at most')
    .optional(),
  courses: Names.optional(),
  /** Per cent; a subscription without results has 0. */
  completion: z.strictObject({ atLeast: Percent.optional(), below: Percent.optional() }).optional(),
  status: Few.optional(),
  state: z
    .array(z.enum(RUN_STATES as [string, ...string[]]))
    .min(1, 'must name one at the least')
    .optional(),
  feeds: Names.optional(),
  dates: z
    .strictObject({
      column: Text.optional(),
      period: z.enum(PERIODS).optional(),
      /** A day begins at midnight of the schedule's time zone. */
      from: Moment.optional(),
      /** Not included. */
      until: Moment.optional(),
    })
    .refine(({ period, from, until }) => (period === undefined) !== (from === undefined && until === undefined), {
      ...anyway,
      message: 'must name either a period, or from, until or both',
    })
    .optional(),
});

const Send = z.strictObject({
  to: z
    .array(Address, { error: 'must be a list of e-mail addresses' })
    .min(1, 'must name an address')
    .max(50, 'must be 50 addresses at most'),
  format: z.enum(REPORT_FORMATS).default('xlsx'),
});

/** A report, checked and with every default filled in. */
export const ReportShape = z
  .strictObject(
    {
      name: Text.refine((name) => /^[^\p{C}]{1,100}$/u.test(name), 'must be of 1 to 100 letters'),
      what: z.enum(SUBJECTS, {
        error: (issue) => (issue.input === undefined ? `is missing; possible are ${SUBJECTS.join(', ')}` : undefined),
      }),
      /** As in `muster reports columns`; none = the usual ones. */
      columns: Few.optional(),
      /** Columns, the first most important; `-since`: latest first. */
      order: Few.optional(),
      /** One row for all that have the same in the columns `by`, with figures of them, in place of `columns`. */
      summary: z
        .strictObject({
          by: Few,
          /** `count`, `learners` (each once), or `sum`, `average`, `min`, `max` of a column: `average completion`. */
          figures: Few.default(['count']),
        })
        .optional(),
      filter: Filter.default({}),
      sharedWith: z.array(z.enum(REPORT_ROLES)).default([]),
      schedule: Schedule.default({ timeZone: 'UTC', catchUpHours: 12 }),
      send: Send.optional(),
    },
    { error: (issue) => expected(issue, 'keys and values, like what: learners') },
  )
  .superRefine((report, context) => {
    for (const { path, message } of refusals(report)) context.addIssue({ code: 'custom', path, message });
  });

/** A report's settings, complete; plain data that can be stored as JSON. */
export type ReportSettings = DeepReadonly<z.output<typeof ReportShape>>;
type Given = z.output<typeof ReportShape>;

interface Refusal {
  readonly path: (string | number)[];
  readonly message: string;
}

/** Where a report asks for what its subject does not have. */
function* refusals({ what, columns, order = [], summary, filter, schedule, send }: Given): Generator<Refusal> {
  if (columns && summary)
    yield { path: ['columns'], message: 'belongs to reports without summary; its columns are `by` and `figures`' };
  const used = { columns: columns ?? [], 'summary.by': summary?.by ?? [] };
  for (const [key, names] of Object.entries(used)) {
    for (const [at, name] of names.entries()) {
      const path = [...key.split('.'), at];
      const column = columnOf(what, name);
      if (!column) yield { path, message: unknown(what, name) };
      else if (column.type === 'list' && summary) yield { path, message: manyInOne(name) };
      if (names.indexOf(name) !== at) yield { path, message: `${name} stands there twice` };
    }
  }
  for (const [at, name] of (summary?.figures ?? []).entries()) {
    const { figure, of } = readFigure(name);
    const type = of === undefined ? undefined : columnOf(what, of)?.type;
    const path = ['summary', 'figures', at];
    const isOfRows = OF_ROWS.includes(figure) && !(figure === 'learners' && what === 'runs');
    if (!FIGURES.includes(figure) || isOfRows !== (of === undefined)) {
      yield {
        path,
        message: `${name} is no figure; possible are ${what === 'runs' ? 'count' : 'count, learners'}, and sum, average, min, max of a column, like average completion`,
      };
    } else if (of !== undefined && !columnOf(what, of)) yield { path, message: unknown(what, of) };
    else if (of !== undefined && type !== 'number' && !(type === 'date' && (figure === 'min' || figure === 'max'))) {
      yield { path, message: `${of} does not hold numbers` };
    }
  }
  for (const [at, text] of order.entries()) {
    const name = text.replace(/^-/, '');
    const path = ['order', at];
    const listed = summary && [...summary.by, ...summary.figures];
    if (listed) {
      if (!listed.includes(name))
        yield { path, message: `${name} is not in the summary; possible are ${listed.join(', ')}` };
    } else if (!columnOf(what, name)) yield { path, message: unknown(what, name) };
    else if (columnOf(what, name)?.type === 'list') yield { path, message: manyInOne(name) };
  }
  for (const [key, subjects] of Object.entries(FILTERS)) {
    if (filter[key as keyof typeof filter] !== undefined && !subjects.includes(what))
      yield { path: ['filter', key], message: `belongs to reports about ${subjects.join(', ')}` };
  }
  const possible = STATUS[what];
  for (const [at, status] of possible ? (filter.status ?? []).entries() : []) {
    if (!possible?.includes(status)) {
      yield {
        path: ['filter', 'status', at],
        message: `cannot be ${JSON.stringify(status)}; possible are ${possible?.join(', ')}`,
      };
    }
  }
  const dates = filter.dates?.column;
  if (dates !== undefined && columnOf(what, dates)?.type !== 'date')
    yield { path: ['filter', 'dates', 'column'], message: `${dates} is no column of dates of ${what}` };
  if (schedule.cron !== undefined && !send)
    yield { path: ['send'], message: 'is missing: say to whom the schedule sends the report' };
}

function unknown(what: Subject, name: string): string {
  const known = [...Object.keys(COLUMNS[what]), ...(what === 'runs' ? [] : ['attributes.NAME'])];
  const meant = nearest(name, known);
  return `${name} is not a column of ${what}. ${meant === undefined ? `Known here: ${known.join(', ')}.` : `Did you mean \`${meant}\`?`}`;
}

function manyInOne(name: string): string {
  return `${name} holds several values in one cell, so nothing can be ordered or summed up by it`;
}

/** The columns that the report shows, in their order: what it names, or the usual ones. */
export function columnsOf({ what, columns, summary }: ReportSettings): readonly string[] {
  return summary ? [...summary.by, ...summary.figures] : (columns ?? USUAL_COLUMNS[what]);
}

/** The column that `filter.dates` is about. */
export function dateColumnOf({ what, filter }: ReportSettings): string | undefined {
  return filter.dates && (filter.dates.column ?? USUAL_DATE[what]);
}

const REPORT: FileKind<typeof ReportShape> = { shape: ReportShape, noun: 'report' };

/** A report from a value that is no file (the API, the database). Throws one UsageError with every problem. */
export function readReport(value: unknown): ReportSettings {
  return readSettings(REPORT, value);
}

/** Reads a report file (YAML; JSON is YAML too). Throws what `readSettingsFile` throws. */
export function readReportFile(text: string, fileName: string): ReportSettings {
  return readSettingsFile(REPORT, text, fileName);
}
