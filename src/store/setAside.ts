import type { Change } from '../domain/change.ts';
import { MusterError } from '../domain/errors.ts';
import type { GroupId, LearnerId, RunId } from '../domain/ids.ts';
import type { SettleKind } from '../domain/settle.ts';
import { isDuplicateKey } from './failures.ts';
import type { BatchId, RunDoc, SetAsideDoc } from './models.ts';
import type { Services } from './services.ts';
import type { Session, Store } from './store.ts';

/** One operation kills its worker each time: it waits for a person, since trying it again would kill the next one. */
export class WorkerDied extends MusterError {
  readonly code = 'worker-died';
  constructor(times: number) {
    super(
      `The worker ended ${times} times while it was at this learner, and nothing of it was written; the others went on. ` +
        "Look into the worker's log, then retry or discard it by hand.",
    );
  }
}

interface Failure {
  readonly run: Pick<RunDoc, '_id' | 'feed'>;
  readonly batch: number;
  readonly job: 'apply' | SettleKind;
  readonly learner: LearnerId;
  readonly groups: readonly GroupId[];
  /** For `apply`: what could not be applied. */
  readonly change?: Change;
  readonly error: unknown;
}

/** `r1-1000001-17`, and for settlements `r1-1000001-17-expire`. */
export function setAsideId({ run, batch }: BatchId, learner: LearnerId, job: SetAsideDoc['job']): string {
  return `${run}-${batch}-${learner}${job === 'apply' ? '' : `-${job}`}`;
}

/**
 * Keeps an operation that cannot be done, with its error, until it succeeds, a newer run of its feed takes its place,
 * or a person discards it (R27). The feed looks at the learner again in its next run.
 */
export async function setAside({ store, clock }: Services, failure: Failure): Promise<void> {
  const { run, batch, job, learner, groups, change, error } = failure;
  const now = clock.now();
  const what = describe(error);
  const doc: Omit<SetAsideDoc, '_id' | 'tries' | 'createdAt'> = {
    run: run._id,
    batch,
    feed: run.feed,
    job,
    learner,
    groups: [...groups],
    error: what,
    retryAt: error instanceof WorkerDied ? null : new Date(now.getTime() + FIRST_RETRY),
    ...(change && { change }),
  };
  await store.setAside.updateOne(
    { _id: setAsideId({ run: run._id, batch }, learner, job) },
    { $set: doc, $setOnInsert: { createdAt: now }, $push: { tries: { at: now, message: what.message } } },
    { upsert: true },
  );
  if (run.feed !== null && job === 'apply') await lookAgainAt(store, run.feed, [learner], now);
}

/** The feed's next run reads the rows of these learners again, whether or not there are such learners yet. */
export async function lookAgainAt(
  store: Store,
  feed: string,
  learners: readonly LearnerId[],
  at: Date,
  session?: Session,
): Promise<void> {
  const marks = learners.map((learner) => ({ learner, at }));
  await store.feeds.updateOne(
    { _id: feed },
    { $push: { lookAgain: { $each: marks } } },
    { ...(session && { session }) },
  );
}

const FIRST_RETRY = 60_000;
const LAST_RETRY = 6 * 3_600_000;

/** How long to wait after so many tries, ms: twice as long each time, up to six hours, with jitter of a tenth. `random` in [0, 1). */
export function retryDelay(tries: number, random: number): number {
  return Math.min(FIRST_RETRY * 2 ** tries, LAST_RETRY) * (0.95 + random / 10);
}

/**
 * A try begins: the next one is put off beforehand, so that a try that kills its worker is not repeated at once, and
 * of several workers one alone gets it. False: another has it, or it is gone.
 */
export async function beginRetry({ store, clock }: Services, doc: SetAsideDoc, random: number): Promise<boolean> {
  const retryAt = new Date(clock.now().getTime() + retryDelay(doc.tries.length, random));
  const { modifiedCount } = await store.setAside.updateOne(
    { _id: doc._id, retryAt: doc.retryAt },
    { $set: { retryAt } },
  );
  return modifiedCount === 1;
}

/** A try has failed. */
export async function retryFailed({ store, clock }: Services, doc: SetAsideDoc, error: unknown): Promise<void> {
  const what = describe(error);
  await store.setAside.updateOne(
    { _id: doc._id },
    { $set: { error: what }, $push: { tries: { at: clock.now(), message: what.message } } },
  );
}

/**
 * Takes the operation out, in the transaction that does it. False: something has taken its place meanwhile, and it is
 * not to be done any more.
 */
export async function takeSetAside(store: Store, { _id }: SetAsideDoc, session: Session): Promise<boolean> {
  return (await store.setAside.deleteOne({ _id }, { session })).deletedCount === 1;
}

/** Operations of older runs of the feed, at whose learners the run has looked again: what it found takes their place. */
export async function supersedeSetAside(store: Store, run: RunDoc, readAt: Date, session: Session): Promise<void> {
  await store.setAside.deleteMany({ ...ofOlderRuns(run), createdAt: { $lt: readAt } }, { session });
}

/** Set-aside changes of older runs of the run's feed. */
export function ofOlderRuns({ _id, feed }: Pick<RunDoc, '_id' | 'feed'>) {
  return { feed, job: 'apply' as const, run: { $ne: _id } };
}

/** Operations of a run that is turned back: a retry would bring back what the undo has taken away, or does not know of. */
export async function withdrawSetAside(store: Store, run: RunId, session: Session): Promise<void> {
  await store.setAside.deleteMany({ run }, { session });
}

/** Without personal data: a duplicate key names the field, never the value. */
export function describe(error: unknown): SetAsideDoc['error'] {
  if (error instanceof MusterError) return { code: error.code, message: error.message };
  if (isDuplicateKey(error)) {
    // Of a bulk write, the message alone names the index.
    const key = /index: ([A-Za-z]+)_1/.exec((error as Error).message)?.[1];
    if (key === 'emailKey') {
      return { code: 'email-held', message: 'Another learner holds the e-mail address by now. Free it, then retry.' };
    }
    return { code: 'duplicate', message: `Another document holds the same ${key ?? 'key'} by now.` };
  }
  const { name, message } = error as Error;
  return { code: name, message };
}
