import { z } from 'zod';
import { SUBJECTS } from '../../settings/reportColumns.ts';
import { list } from './common.ts';

const What = z.enum(SUBJECTS);
const ColumnShape = z.object({
  name: z.string(),
  title: z.string(),
  type: z.enum(['text', 'number', 'date', 'flag', 'list']),
});

/** What reports may be about, for one who asks, with the columns of each. `attributes.NAME` is one column each. */
export const Subjects = list(z.object({ what: What, columns: list(ColumnShape) }));

/** A saved report. Who may not change it sees what it is, and runs it. */
export const Report = z.object({
  report: z.string(),
  name: z.string(),
  what: What,
  origin: z.enum(['file', 'database']),
  mayChange: z.boolean(),
  /** As they are posted, with every default filled in. */
  settings: z.record(z.string(), z.unknown()).nullable(),
  owner: z.string().nullable(),
  changedAt: z.date().nullable(),
  nextDue: z.date().nullable(),
  lastSending: z
    .object({
      due: z.date(),
      state: z.enum(['waiting', 'sent', 'given up']),
      error: z.string().nullable(),
      by: z.string(),
    })
    .nullable(),
});

/** The first rows of a report; dates are ISO 8601. */
export const ReportPreview = z.object({
  columns: list(ColumnShape),
  rows: list(list(z.union([z.string(), z.number(), z.boolean(), z.null(), list(z.string())]))),
});

export const ReportSending = z.object({ report: z.string(), due: z.date() });
