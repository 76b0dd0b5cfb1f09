import { MusterError } from '../domain/errors.ts';
import type { Delivery } from '../store/models.ts';
import type { Services } from '../store/services.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** Pauses after each failed try, ms, as Standard Webhooks recommends; after the last it is given up. */
const PAUSES = [5_000, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR];

/** After so many failed tries: the pause before the next, with jitter of a tenth; undefined = no more. `random` in [0, 1). */
export function pauseAfter(failed: number, random: number): number | undefined {
  const pause = PAUSES[failed - 1];
  return pause === undefined ? undefined : Math.round(pause * (0.95 + random / 10));
}

/** A kind of thing that is delivered until it has arrived. */
export interface Deliverable<T> {
  /** For the log. */
  readonly noun: string;
  readonly collection: 'notifications' | 'sendings';
  /** Delivered at once by one caller. */
  readonly atOnce: number;
  /** Longer than any try takes: after a crash it is tried again this much later, ms. */
  readonly claim: number;
  /** Delivers one, and gives what is to be noted of it. `stopping`: it may be left to the next round. */
  readonly send: (one: T, stopping: AbortSignal | undefined) => Promise<object | undefined>;
  /** An error after which no try would do better. */
  readonly isFinal?: (error: unknown) => boolean;
  /** Fields for the log, without personal data. */
  readonly fields: (one: T) => object;
}

/**
 * Delivers what is due, and gives its number. Any number of processes may do this at once: each is claimed by one. It
 * arrives once or, where a process dies between sending and noting it, twice with the same id. What is under way when
 * `stopping` aborts is left to the next round.
 */
export async function deliverDue<T extends Delivery & { _id: unknown }>(
  services: Services,
  kind: Deliverable<T>,
  stopping?: AbortSignal,
): Promise<number> {
  const claimed: T[] = [];
  for (let left = kind.atOnce; left > 0; left -= 1) {
    if (stopping?.aborted) break;
    const one = await claim(services, kind);
    if (!one) break;
    claimed.push(one);
  }
  await Promise.all(claimed.map((one) => deliver(services, kind, one, stopping)));
  return claimed.length;
}

async function claim<T>({ store, clock }: Services, kind: Deliverable<T>): Promise<T | null> {
  const now = clock.now();
  return (await store.connection
    .collection(kind.collection)
    .findOneAndUpdate(
      { nextAt: { $lte: now } },
      { $set: { nextAt: new Date(now.getTime() + kind.claim) } },
      { sort: { nextAt: 1 }, returnDocument: 'after' },
    )) as T | null;
}

async function deliver<T extends Delivery & { _id: unknown }>(
  { store, clock, log }: Services,
  { noun, collection, send, isFinal, fields }: Deliverable<T>,
  one: T,
  stopping: AbortSignal | undefined,
): Promise<void> {
  const claimed = { _id: one._id, nextAt: one.nextAt } as object;
  const end = (set: object) => store.connection.collection(collection).updateOne(claimed, { $set: set });
  try {
    const noted = await send(one, stopping);
    const now = clock.now();
    await end({ ...noted, nextAt: null, deliveredAt: now, endedAt: now });
    log.info(fields(one), `${noun} delivered`);
  } catch (error) {
    const now = clock.now();
    if (stopping?.aborted) {
      await end({ nextAt: now });
      return;
    }
    const tries = [...one.tries, { at: now, message: reason(error) }];
    const pause = isFinal?.(error) ? undefined : pauseAfter(tries.length, Math.random());
    log.warn({ ...fields(one), tries: tries.length, left: pause !== undefined }, `${noun} not delivered`);
    await end({
      tries,
      ...(pause === undefined ? { nextAt: null, endedAt: now } : { nextAt: new Date(now.getTime() + pause) }),
    });
  }
}

/** Without what a server said: answers of mail servers repeat addresses. */
function reason(error: unknown): string {
  const { code, name, message } = error as Error & { code?: string };
  if (error instanceof MusterError) return message;
  if (name === 'TimeoutError' || name === 'AbortError') return 'no answer in time';
  // What nodemailer calls it when there is no connection; the text names the system's error.
  const [system] = (code === 'ESOCKET' && /\bE[A-Z]{4,}\b/.exec(message)) || [];
  return system ?? code ?? name;
}
