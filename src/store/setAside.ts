import type { Change } from '../domain/change.ts';
import type { SettleKind } from '../domain/settle.ts';
import { isDuplicateKey } from './failures.ts';
import type { RunDoc, SetAsideDoc } from './models.ts';
import type { Services } from './services.ts';

interface Failure {
  readonly run: RunDoc;
  readonly batch: number;
  readonly job: 'apply' | SettleKind;
  readonly change: Change;
  readonly error: unknown;
}

/** Keeps an operation that cannot be applied, with its error, until it succeeds or a person discards it (R27). */
export async function setAside({ store, clock }: Services, { run, batch, job, change, error }: Failure): Promise<void> {
  const now = clock.now();
  const doc: Omit<SetAsideDoc, '_id' | 'tries' | 'createdAt'> = {
    run: run._id,
    batch,
    feed: run.feed,
    job,
    learner: change.learner,
    groups: change.memberships.map(({ group }) => group),
    error: describe(error),
    retryAt: new Date(now.getTime() + FIRST_RETRY),
    change,
  };
  await store.setAside.updateOne(
    { _id: `${run._id}-${batch}-${change.learner}` },
    { $set: doc, $setOnInsert: { createdAt: now }, $push: { tries: { at: now, message: describe(error).message } } },
    { upsert: true },
  );
}

const FIRST_RETRY = 60_000;
const LAST_RETRY = 6 * 3_600_000;

/** After a failed retry: the next one, twice as far away each time, with jitter of a tenth. `random` in [0, 1). */
export async function retryLater(
  { store, clock }: Services,
  doc: SetAsideDoc,
  error: unknown,
  random: number,
): Promise<void> {
  const now = clock.now();
  const delay = Math.min(FIRST_RETRY * 2 ** doc.tries.length, LAST_RETRY) * (0.95 + random / 10);
  await store.setAside.updateOne(
    { _id: doc._id },
    {
      $set: { error: describe(error), retryAt: new Date(now.getTime() + delay) },
      $push: { tries: { at: now, message: describe(error).message } },
    },
  );
}

/** Without personal data: a duplicate key names the field, never the value. */
function describe(error: unknown): SetAsideDoc['error'] {
  if (isDuplicateKey(error)) {
    const key = Object.keys((error as { keyPattern?: Record<string, unknown> }).keyPattern ?? {})[0];
    if (key === 'emailKey') {
      return { code: 'email-held', message: 'Another learner holds the e-mail address by now. Free it, then retry.' };
    }
    return { code: 'duplicate', message: `Another document holds the same ${key ?? 'key'} by now.` };
  }
  const { name, message } = error as Error;
  return { code: name, message };
}
