import { audited } from './audited.ts';
import type { FailedLogInsDoc } from './models.ts';
import type { Services } from './services.ts';
import { loginKey } from './users.ts';

/**
 * Failed tries of this long, ms, are one entry of the audit: whoever guesses passwords makes 144 entries a day, not one a
 * guess.
 */
const STRETCH = 600_000;

/**
 * Counts a try to log in that failed; `login` where it was of a name. Names that no user has are counted and not kept:
 * they may be anything, such as a password in the wrong field.
 */
export async function countFailedLogIn({ store, clock }: Services, login?: string): Promise<void> {
  const now = clock.now().getTime();
  const known = await store.users.findOne({ _id: loginKey(login ?? '') }, { projection: { _id: 1 } });
  const _id = { since: new Date(now - (now % STRETCH)), user: known?._id ?? null };
  await store.failedLogIns.updateOne({ _id }, { $inc: { count: 1 } }, { upsert: true });
}

/** Writes the failed tries of the oldest stretch that is over into the audit. Any number of callers is harmless. */
export async function auditFailedLogIns(services: Services): Promise<void> {
  const { store, clock } = services;
  const before = new Date(clock.now().getTime() - STRETCH);
  const oldest = await store.failedLogIns.findOne({ '_id.since': { $lte: before } }, { sort: { _id: 1 } });
  if (!oldest) return;
  const { since } = oldest._id;
  await audited(services, { step: 'access', by: 'log-in', why: 'log-ins failed' }, async (session) => {
    const found = await store.failedLogIns.find({ '_id.since': since }, { session }).toArray();
    await store.failedLogIns.deleteMany({ '_id.since': since }, { session });
    return { result: undefined, detail: found.length > 0 ? detailOf(since, found) : null };
  });
}

function detailOf(since: Date, found: readonly FailedLogInsDoc[]) {
  const users = found.flatMap(({ _id: { user }, count }) => (user === null ? [] : [{ user, count }]));
  const others = found.find(({ _id: { user } }) => user === null)?.count ?? 0;
  return { since, until: new Date(since.getTime() + STRETCH), users, others };
}
