import { z } from 'zod';
import type { Traces } from '../../run/erase.ts';
import { list } from './common.ts';
import { HistoryEntryShape } from './history.ts';
import { LearnerShape, ProgressShape } from './learners.ts';

/** What an erasure takes away, by where it lies. */
export const TracesShape = z.object({
  memberships: z.number(),
  subscriptions: z.number(),
  results: z.number(),
  setAside: z.number(),
  plans: z.number(),
  rejectedRows: z.number(),
  files: z.number(),
  reports: z.number(),
}) satisfies z.ZodType<Traces>;
/** Why, for the audit; without names. */
export const Erase = z.strictObject({ reason: z.string().trim().min(1).max(500).optional() }).nullish();
export const ErasedShape = z.object({
  run: z.string(),
  learner: z.string(),
  /** Runs whose plans were made before: when they have ended, a worker goes through everything once more. */
  waitsFor: list(z.string()),
});
/** The External ID or e-mail address of the erased person. */
export const Unerase = z.strictObject({ externalId: z.string().trim().min(1).max(500) });
export const UnerasedShape = z.object({ run: z.string(), lifted: z.number() });

const Results = ProgressShape.extend({ course: z.string() });
export const PersonShape = z.object({
  learner: LearnerShape,
  names: z.object({ externalIds: list(z.string()), emails: list(z.string()) }),
  feeds: list(z.object({ feed: z.string(), leftAt: z.date().nullable() })),
  results: list(Results),
  purged: list(Results.extend({ until: z.date() })),
  history: list(HistoryEntryShape),
  setAside: list(z.object({ id: z.string(), run: z.string(), job: z.string(), at: z.date() })),
  reports: list(z.string()),
  rejectedRows: list(z.object({ run: z.string(), row: z.number(), reason: z.string(), text: z.string() })),
});
