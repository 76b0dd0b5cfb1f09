import { z } from 'zod';
import { list } from './common.ts';
import { FieldChanges, MembershipChanges } from './runs.ts';

const text = z.string();
/** Who did something, when, and for what reason. */
const Origin = z.object({ at: z.date(), by: text, why: text, run: text, rows: list(z.number()) });

/** One step in a learner's life. */
export const HistoryEntryShape = z.object({
  at: z.date(),
  by: text,
  why: text,
  run: text,
  step: text,
  created: z.boolean(),
  fields: FieldChanges,
  memberships: MembershipChanges,
  rows: list(z.number()),
  subscriptions: list(z.object({ course: text, event: text, through: list(text) })),
  structure: list(text),
});

export const WhyShape = z.object({
  learner: text,
  course: text,
  /** null: the learner never had the course, or it was purged. */
  subscription: z.object({ status: z.enum(['active', 'expired']), since: z.date(), direct: z.boolean() }).nullable(),
  last: Origin.extend({ event: text }).nullable(),
  groups: list(
    z.object({
      /** From the learner's group up to the one that is linked to the course. */
      path: list(text),
      link: Origin.nullable(),
      sources: list(
        z.object({
          source: text,
          validFrom: z.date().nullable(),
          validUntil: z.date().nullable(),
          open: z.boolean(),
          since: Origin.nullable(),
        }),
      ),
    }),
  ),
  grant: Origin.nullable(),
});
