import type { z } from 'zod';

/** A kind of job: a name, the shape of its payload (ids only, never facts), how it is tried again, and a handler. */
export interface Job<Context, Payload = unknown> {
  readonly name: JobName;
  readonly payload: z.ZodType<Payload>;
  readonly retry: {
    /** Tries before the job leaves BullMQ; the relay brings it back while the outbox still asks for it. */
    readonly attempts: number;
    /** First delay, ms; doubled each time, with jitter. */
    readonly delay: number;
  };
  /** How many of this kind at once: in all of Redis (`global`), and in this process (`here`; unset = WORKER_CONCURRENCY). */
  readonly concurrency?: { readonly global?: number; readonly here?: number };
  handle(payload: Payload, context: Context): Promise<void>;
}

export const JOBS = ['import', 'apply', 'subscribe', 'expire', 'purge'] as const;
export type JobName = (typeof JOBS)[number];

export function defineJob<Context, Payload>(job: Job<Context, Payload>): Job<Context, Payload> {
  return job;
}
