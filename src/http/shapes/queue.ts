import { z } from 'zod';
import { list, Reference } from './common.ts';

const JobShape = z.enum(['apply', 'subscribe', 'expire', 'purge']);
const Fault = z.object({ code: z.string(), message: z.string() });

/** An operation that was set aside, or a batch that failed or waits. */
export const QueueItemShape = z.object({
  id: z.string(),
  state: z.enum(['set-aside', 'failed', 'waiting']),
  queue: JobShape,
  run: z.string(),
  feed: z.string().nullable(),
  learner: z.string().nullable(),
  groups: list(z.string()),
  tries: z.number(),
  error: Fault.nullable(),
  /** When it is tried again by itself; null = not before a person says so. */
  retryAt: z.date().nullable(),
  since: z.date(),
  history: list(z.object({ at: z.date(), message: z.string() })),
  /** State of its job in BullMQ; null = it is not there. */
  bullmq: z.string().nullable(),
});

export const QueueFilterShape = z.strictObject({
  queue: JobShape.optional(),
  run: z.string().max(40).optional(),
  feed: z.string().max(200).optional(),
  learner: Reference.optional(),
  group: Reference.optional(),
  /** Code of the error. */
  error: z.string().max(200).optional(),
});
const Ids = z.array(z.string().min(1).max(100)).min(1).max(1000);

/** What to try again: these, all that a filter finds, or (`{}`) everything that is set aside or failed. */
export const RetryOrder = z.union([z.strictObject({ ids: Ids }), z.strictObject({ filter: QueueFilterShape })]);
export const RetryResult = z.object({
  done: z.number(),
  outcomes: list(z.object({ id: z.string(), done: z.boolean(), error: Fault.nullable() })),
});
export const Discard = z.strictObject({ ids: Ids, reason: z.string().trim().min(1).max(1000) });
export const Discarded = z.object({ discarded: list(z.string()) });
