import { z } from 'zod';
import { list, WindowShape } from './common.ts';
import { RunStateShape } from './runs.ts';

/** A feed with what it holds. `settings` and `text` are as in a feed file (docs). */
export const Feed = z.object({
  name: z.string(),
  origin: z.enum(['file', 'database', 'one-off']),
  mode: z.enum(['full', 'delta']),
  source: z.record(z.string(), z.unknown()),
  schedule: z.record(z.string(), z.unknown()),
  held: z.object({ learners: z.number(), memberships: z.number() }),
  applied: z.object({ run: z.string(), at: z.date(), rows: z.number() }).nullable(),
  lastRun: z.object({ run: z.string(), state: RunStateShape, at: z.date() }).nullable(),
  working: z.boolean(),
  lastDue: z.object({ at: z.date(), run: z.string(), state: RunStateShape }).nullable(),
  nextDue: z.date().nullable(),
  quarantined: z.object({ at: z.date(), run: z.string() }).nullable(),
});
export const FeedWithText = Feed.extend({ text: z.string() });

/** A feed file, as YAML or JSON text. */
export const FeedText = z.strictObject({ text: z.string().min(1).max(500_000) });
export const FeedCheck = z.object({
  name: z.string(),
  valid: z.literal(true),
  settings: z.record(z.string(), z.unknown()),
});

export const FeedSampleShape = z.object({
  file: z.string(),
  encoding: z.string(),
  delimiter: z.string(),
  columns: list(z.string()),
  rows: list(
    z.union([
      z.object({ row: z.number(), code: z.string(), message: z.string() }),
      z.object({
        row: z.number(),
        externalId: z.string().optional(),
        email: z.string().optional(),
        firstName: z.string().optional(),
        lastName: z.string().optional(),
        attributes: z.record(z.string(), z.string()),
        status: z.enum(['active', 'left']),
        action: z.enum(['add', 'remove']),
        groups: list(z.object({ group: z.string(), known: z.boolean() })),
        window: WindowShape,
      }),
    ]),
  ),
});

/** Starts a run from the feed's own source. */
export const RunStart = z.strictObject({ preview: z.boolean().default(false), approve: z.boolean().default(false) });
