import { z } from 'zod';
import { Problem } from '../problems.ts';

export const list = <T extends z.ZodType>(item: T) => z.array(item).readonly();

/** What a person or program calls a thing by: an External ID, `id:N`, or (learner) an e-mail address. */
export const Reference = z.string().min(1).max(500);
export const NewExternalId = z.string().trim().min(1).max(200);
export const Name = z.string().trim().min(1).max(500);
export const Removal = z
  .enum(['keep', 'expire', 'purge'])
  .meta({ description: 'What the removal does to the courses' });
/** Learners by what each is called; lines of a pasted list may be blank. */
export const Learners = z.array(z.string().max(500)).min(1).max(20_000);
/** `?preview=true`. */
export const Flag = z
  .enum(['true', 'false'])
  .default('false')
  .transform((text) => text === 'true');

/** `?at=2026-11-01`, or with a time: an ISO date is its beginning, in UTC. */
export const Moment = z.union([z.iso.date(), z.iso.datetime({ offset: true })]).transform((text) => new Date(text));

export const WindowShape = z.object({ validFrom: z.date().nullable(), validUntil: z.date().nullable() });
export const SourceShape = WindowShape.extend({ source: z.string() });
export const Counts = z.object({
  subscribed: z.number(),
  reactivated: z.number(),
  expired: z.number(),
  purged: z.number(),
  kept: z.number(),
});

const Skipped = z.object({ learner: z.string(), course: z.string(), through: list(z.string()) });
/** What a change by hand came to. */
export const Result = z.object({
  run: z.string(),
  memberships: z.object({ added: z.number(), removed: z.number() }),
  subscriptions: Counts,
  /** Purges that were not done, with the groups that still give the course; none = a direct grant. */
  skipped: list(Skipped),
  setAside: z.number(),
});
/** What became of each learner of a list. */
export const Lines = list(z.object({ learner: z.string(), outcome: z.string() }));
export const ResultWithLines = Result.extend({ lines: Lines });
export const RemovalPreviewShape = z.object({
  learners: z.number(),
  courses: z.number(),
  /** Results that a purge would delete. */
  results: z.number(),
  counts: Counts.nullable(),
  /** Courses of learners that stay, since another group or a direct grant gives them; null of a change of groups. */
  stay: z.number().nullable(),
  /** The first of what stays. */
  skipped: list(Skipped),
});

/** What became of each of many that were to be made. */
export const Bulk = z.object({ lines: list(z.object({ name: z.string(), outcome: z.string() })) });

const problem = {
  description: 'A problem document (RFC 9457)',
  content: { 'application/problem+json': { schema: Problem } },
};
/** The problems that every route may answer with. */
export const PROBLEMS = { '4xx': problem, '5xx': problem } as const;

export const Nothing = z.undefined().meta({ description: 'Done' });
/** A stream of text that is written as it is. */
export function stream(type: string, description: string) {
  return { description, content: { [type]: { schema: z.string() } } };
}
