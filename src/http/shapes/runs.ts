import { z } from 'zod';
import type { ChangeView } from '../../run/views/changesView.ts';
import type { RunSummary as Summary } from '../../run/views/runView.ts';
import { Counts, list, Reference, WindowShape } from './common.ts';

export const RunStateShape = z.enum([
  'queued',
  'reading',
  'planned',
  'held',
  'applying',
  'reconciling',
  'completed',
  'failed',
  'cancelled',
  'rejected',
  'superseded',
]);
const Kind = z.enum(['feed', 'manual', 'structure', 'window', 'undo']);
const number = z.number();

export const RunSummary = z.object({
  run: z.string(),
  kind: Kind,
  what: z.string(),
  feed: z.string().nullable(),
  state: RunStateShape,
  preview: z.boolean(),
  noChange: z.boolean(),
  memberships: z.object({ added: number, removed: number }),
  rejected: number,
  by: z.string(),
  createdAt: z.date(),
  finishedAt: z.date().nullable(),
}) satisfies z.ZodType<Summary>;

/** The report of a run: the same as `muster runs show --json`. */
export const RunReport = z.object({
  run: z.string(),
  feed: z.string().nullable(),
  kind: Kind,
  state: RunStateShape,
  mode: z.enum(['full', 'delta']),
  noChange: z.boolean(),
  preview: z.boolean(),
  /** What was read; 0 bytes and an empty hash where nothing was (yet). */
  source: z.object({ name: z.string(), bytes: number, sha256: z.string() }),
  rows: z.object({ read: number, accepted: number, rejected: number, repeated: number }),
  learners: z.object({ created: number, updated: number, reactivated: number, deactivated: number, unchanged: number }),
  groups: z.object({ created: number }),
  memberships: z.object({ added: number, removed: number, changed: number, unchanged: number }),
  subscriptions: Counts,
  guard: z.object({
    held: z.boolean(),
    breaches: list(
      z.object({ limit: z.string(), value: number, max: number, min: number.optional(), group: z.string().nullable() }),
    ),
  }),
  approved: z
    .object({ part: z.enum(['without-removals', 'only', 'except']), changes: number, takenOut: number })
    .readonly()
    .optional(),
  setAside: number,
  protected: z.object({ learners: number, groups: number }),
  problems: list(z.object({ row: number.nullable(), code: z.string(), message: z.string(), count: number })),
  error: z.object({ code: z.string(), message: z.string() }).optional(),
  by: z.string(),
  createdAt: z.date(),
  startedAt: z.date().nullable(),
  finishedAt: z.date().nullable(),
  stages: list(z.object({ name: z.string(), ms: number })),
  history: list(z.object({ state: RunStateShape, at: z.date(), by: z.string(), note: z.string().optional() })),
});

/** `data`: JSON with run, state, how many batches there are, and how many are left. */
const RunEvent = z.object({ event: z.enum(['progress', 'end']), data: z.string() });
export const RunEvents = { description: 'Events', content: { 'text/event-stream': { schema: RunEvent } } };

const Windows = list(WindowShape);
const text = z.string().nullable();
export const FieldChanges = list(z.object({ field: z.string(), before: text, after: text }));
export const MembershipChanges = list(
  z.object({ group: z.string(), source: z.string(), before: Windows, after: Windows, courses: text }),
);
export const RunChange = z.object({
  id: z.string(),
  externalId: text,
  created: z.boolean(),
  fields: list(z.object({ field: z.string(), before: text, after: text })),
  memberships: list(
    z.object({ group: z.string(), source: z.string(), before: Windows, after: Windows, courses: text }),
  ),
  subscriptions: list(z.object({ course: z.string(), event: z.string(), through: list(z.string()) })),
  rows: list(number),
  restored: list(z.string()),
  overtaken: list(z.string()),
}) satisfies z.ZodType<ChangeView>;

export const RejectedRowShape = z.object({ row: number, code: z.string(), message: z.string() });

/** A part of a held plan; the rest is left to the next run. */
export const Approval = z.union([
  z.strictObject({ withoutRemovals: z.literal(true) }),
  /** Only what these rows of the file say. */
  z.strictObject({ only: z.array(z.number().int().min(1)).min(1).max(100_000) }),
  /** Without these learners. */
  z.strictObject({ except: z.array(Reference).min(1).max(10_000) }),
]);
