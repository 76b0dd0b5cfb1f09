import { z } from 'zod';
import { MANUAL } from '../domain/ids.ts';
import { NOTIFY_EVENTS } from '../domain/news.ts';
import { isCron } from './dueTimes.ts';
import { Guard } from './limits.ts';
import { LATER_PRESETS, PRESETS } from './presets.ts';

export const Text = z
  .string({
    error: (issue) =>
      issue.input === undefined
        ? 'is missing'
        : `must be text${typeof issue.input === 'number' || typeof issue.input === 'boolean' ? '; put it in quotes, so that it stays as written' : ''}`,
  })
  .transform((text) => text.trim().normalize('NFC'));
const Header = Text.refine((name) => name !== '', 'must name a column of the file');
const Values = z
  .array(Text, { error: 'must be a list of the values that the column may hold' })
  .min(1, 'must name one value at the least');
const Courses = z.enum(['keep', 'expire', 'purge']);

/** Short form: the column's name alone. */
const short = (value: unknown) => (typeof value === 'string' ? { column: value } : value);
const columnForm = {
  error: (issue: { code?: string; input?: unknown }) => expected(issue, 'a column name, or { column: … }'),
};

/** A column of the file. `optional`: a file without it is accepted, and the field is then not the feed's to change. */
const Column = z.preprocess(
  short,
  z.strictObject({ column: Header, optional: z.boolean().default(false) }, columnForm),
);

const Status = z
  .preprocess(
    short,
    z.strictObject({ column: Header, active: Values.default(['active']), left: Values.default(['left']) }, columnForm),
  )
  .refine(
    ({ active, left }) => !active.some((value) => left.includes(value)),
    'names the same value as active and as left',
  );

export const AttributeName = z
  .string()
  .regex(
    /^[\p{L}_][\p{L}\p{N}_ -]{0,63}$/u,
    'is no name for an attribute: letters, digits, space, - and _, at most 64',
  );

const Learner = z.strictObject({
  externalId: Column.refine(({ optional }) => !optional, 'cannot be optional: rows name learners by it'),
  email: Column.optional(),
  firstName: Column.optional(),
  lastName: Column.optional(),
  status: Status.optional(),
  attributes: z.record(AttributeName, Column).default({}),
});

const GroupColumn = z.preprocess(
  short,
  z.strictObject(
    {
      column: Header,
      /** Between several groups in one cell; without it a cell names one group. */
      separator: z.string().min(1, 'must not be empty').optional(),
      /** Put before each External ID that the column holds. */
      prefix: z.string().default(''),
      /** Column with the group's name, for `unknownGroup: create`. */
      name: Header.optional(),
      /** Column with the External ID of the group's parent, for `unknownGroup: create`. */
      parent: z
        .preprocess(short, z.strictObject({ column: Header, prefix: z.string().default('') }, columnForm))
        .optional(),
    },
    columnForm,
  ),
);

const notYet = (what: string) =>
  z
    .custom<never>(() => false, `${what} is not available in this version; available are file, directory and upload`)
    .optional();

const Source = z
  .preprocess(
    (value) => (value === 'upload' ? { upload: true } : value),
    z.strictObject(
      {
        file: Text.optional(),
        directory: Text.optional(),
        pattern: Text.optional(),
        upload: z.literal(true).optional(),
        sftp: notYet('sftp'),
        https: notYet('https'),
        s3: notYet('s3'),
      },
      { error: (issue) => expected(issue, '{ file: … }, { directory: …, pattern: … } or upload') },
    ),
  )
  .transform((source, context) => {
    const { file, directory, pattern, upload } = source;
    if ([file, directory, upload].filter((kind) => kind !== undefined).length !== 1) {
      context.addIssue({ code: 'custom', message: 'must name exactly one of file, directory and upload' });
      return z.NEVER;
    }
    if (pattern !== undefined && directory === undefined) {
      context.addIssue({ code: 'custom', path: ['pattern'], message: 'belongs to directory only' });
      return z.NEVER;
    }
    if (file !== undefined) return { kind: 'file' as const, path: file };
    if (directory !== undefined) return { kind: 'directory' as const, path: directory, pattern: pattern ?? '*.csv' };
    return { kind: 'upload' as const };
  });

/** Encodings that `format.encoding` takes; `auto` finds out. */
// biome-ignore format: a list to be read at a glance
export const ENCODINGS = [
  'auto', 'utf-8', 'utf-16le', 'utf-16be', 'windows-1250', 'windows-1251', 'windows-1252', 'windows-1253', 'windows-1254',
  'windows-1255', 'windows-1256', 'windows-1257', 'windows-1258', 'iso-8859-1', 'iso-8859-2', 'iso-8859-5', 'iso-8859-7',
  'iso-8859-9', 'iso-8859-15', 'koi8-r', 'macintosh', 'shift_jis', 'euc-jp', 'euc-kr', 'gbk', 'gb18030', 'big5',
] as const;

const DELIMITERS = { auto: 'auto', ',': ',', ';': ';', tab: '\t', '\t': '\t', '|': '|' } as const;

const Format = z.strictObject({
  type: z.literal('csv', 'is not available in this version; available is csv').default('csv'),
  encoding: z
    .preprocess((value) => (typeof value === 'string' ? value.toLowerCase() : value), z.enum(ENCODINGS))
    .default('auto'),
  delimiter: z
    .enum(Object.keys(DELIMITERS) as (keyof typeof DELIMITERS)[], 'must be auto, ",", ";", tab or "|"')
    .transform((name) => DELIMITERS[name])
    .default('auto'),
});

/** `DD-MM-YYYY`, `M/D/YYYY HH:mm` …: year, month and day once each, then perhaps a time. */
const DATE_PATTERN = /^(?=.*YYYY)(?=.*M)(?=.*D)(?:(?:YYYY|MM?|DD?)[-/. ]?){3}(?:[ T]HH:mm(?::ss)?)?$/;
const Dates = z.strictObject({
  from: Header.optional(),
  until: Header.optional(),
  dateFormat: Text.refine(
    (format) => format === 'auto' || format === 'iso' || DATE_PATTERN.test(format),
    'must be auto, iso, or a pattern of YYYY, MM, DD (and HH:mm or HH:mm:ss), like DD-MM-YYYY',
  ).default('auto'),
});

export const Schedule = z.strictObject({
  /** Without it the feed runs only when told to. */
  cron: Text.refine(
    isCron,
    'is no cron expression; five fields, like "0 2 * * *" for 2 o\'clock every night',
  ).optional(),
  timeZone: Text.refine(isTimeZone, 'is no time zone; use a name like Europe/Amsterdam').default('UTC'),
  catchUpHours: z.number({ error: 'must be a number of hours' }).min(0, 'must be 0 or more').default(12),
});

/** Rules between keys are checked even where a key by itself is wrong, so that all problems are told at once. */
export const anyway = { when: ({ value }: { value: unknown }) => typeof value === 'object' && value !== null };

export const Address = Text.pipe(z.email('is no e-mail address'));

const Notify = z
  .strictObject({
    webhook: z.url({ protocol: /^https?$/, error: 'must be an http or https address' }).optional(),
    /** Key of the webhook's signatures; without it one is derived for the feed. */
    secret: z
      .string()
      .refine(isWebhookSecret, 'must be whsec_ and 24 to 64 bytes in Base64, like `openssl rand -base64 32` makes')
      .optional(),
    email: z
      .preprocess(
        (value) => (typeof value === 'string' ? [value] : value),
        z.array(Address, { error: 'must be an e-mail address, or a list of them' }).min(1, 'must name an address'),
      )
      .optional(),
    on: z.array(z.enum(NOTIFY_EVENTS)).default([...NOTIFY_EVENTS]),
  })
  .refine(({ webhook, email }) => webhook !== undefined || email !== undefined, {
    ...anyway,
    message: 'must name a webhook, an email, or both',
  })
  .refine(({ webhook, secret }) => secret === undefined || webhook !== undefined, {
    ...anyway,
    path: ['secret'],
    message: 'belongs to webhook only',
  });

/** A feed file, checked and with every default filled in. */
export const FeedShape = z
  .strictObject(
    {
      name: Text.refine(
        (name) => /^[a-z0-9][a-z0-9-]{0,62}$/.test(name),
        'must be of a–z, 0–9 and -, at most 63, not starting with -',
      ).refine((name) => name !== MANUAL, 'cannot be manual, which stands for changes by hand'),
      preset: z
        .string()
        .refine((name) => !LATER_PRESETS.includes(name), 'is not available in this version; available is anewspring')
        .refine(
          (name) => LATER_PRESETS.includes(name) || Object.hasOwn(PRESETS, name),
          'is no known preset; available is anewspring',
        )
        .optional(),
      source: Source.default({ kind: 'upload' }),
      schedule: Schedule.default({ timeZone: 'UTC', catchUpHours: 12 }),
      mode: z.enum(['full', 'delta']).default('full'),
      format: Format.default({ type: 'csv', encoding: 'auto', delimiter: 'auto' }),
      learner: Learner,
      groups: z.array(GroupColumn, { error: 'must be a list of columns that name groups' }).default([]),
      window: Dates.default({ dateFormat: 'auto' }),
      action: z
        .preprocess(
          short,
          z.strictObject(
            { column: Header, add: Values.default(['add']), remove: Values.default(['remove']) },
            columnForm,
          ),
        )
        .optional(),
      unknownGroup: z.enum(['reject', 'create']).default('reject'),
      unknownLearner: z.enum(['create', 'reject']).default('create'),
      match: z
        .union([z.tuple([z.literal('externalId')]), z.tuple([z.literal('externalId'), z.literal('email')])], {
          error: 'must be [externalId] or [externalId, email]',
        })
        .default(['externalId']),
      leaver: z
        .strictObject({
          courses: Courses.default('expire'),
          graceDays: z.int({ error: 'must be a whole number of days' }).min(0, 'must be 0 or more').default(0),
        })
        .default({ courses: 'expire', graceDays: 0 }),
      moved: z.strictObject({ courses: Courses.default('expire') }).default({ courses: 'expire' }),
      authority: z.enum(['feed', 'shared']).default('feed'),
      guard: Guard.prefault({}),
      notify: Notify.optional(),
    },
    { error: (issue) => expected(issue, 'keys and values, like name: hr') },
  )
  .refine((feed) => feed.mode !== 'delta' || feed.action !== undefined, {
    ...anyway,
    path: ['action'],
    message: 'is missing: the rows of a delta feed say what to add and what to remove',
  })
  .refine((feed) => feed.mode !== 'delta' || !feed.leaver?.graceDays, {
    ...anyway,
    path: ['leaver', 'graceDays'],
    message: 'is of use only with mode: full; a delta feed names its leavers when they are to go',
  })
  .refine((feed) => feed.schedule?.cron === undefined || feed.source?.kind !== 'upload', {
    ...anyway,
    path: ['schedule', 'cron'],
    message:
      'has nothing to read at that time: files of this feed are uploaded. Name a source, file or directory, or take the schedule out',
  })
  .refine((feed) => feed.mode === 'delta' || feed.action === undefined, {
    ...anyway,
    path: ['action'],
    message: 'belongs to mode: delta only; a full feed is everything that is so',
  })
  .refine((feed) => !(Array.isArray(feed.match) && feed.match.length > 1) || feed.learner?.email !== undefined, {
    ...anyway,
    path: ['match'],
    message: 'names email, but learner.email names no column',
  })
  .refine(
    (feed) =>
      feed.unknownGroup === 'create' ||
      !Array.isArray(feed.groups) ||
      feed.groups.every((group) => group?.name === undefined && group?.parent === undefined),
    { ...anyway, path: ['groups'], message: 'name and parent are of use only with unknownGroup: create' },
  );

export type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;

/** A feed's settings, complete; plain data that can be stored as JSON. */
export type FeedSettings = DeepReadonly<z.output<typeof FeedShape>>;
export type FeedSource = FeedSettings['source'];

export function expected(issue: { code?: string; input?: unknown }, form: string): string | undefined {
  if (issue.code !== 'invalid_type') return undefined;
  return issue.input === undefined ? 'is missing' : `must be ${form}`;
}

/** `whsec_` and a key of 24 to 64 bytes, as Standard Webhooks has them. */
function isWebhookSecret(secret: string): boolean {
  const [, base64 = ''] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret) ?? [];
  const { length } = Buffer.from(base64, 'base64');
  return length >= 24 && length <= 64;
}

function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}
