import type { RunId } from '../domain/ids.ts';
import { recordAudit } from './auditChain.ts';
import { reserve } from './counters.ts';
import type { Services } from './services.ts';
import type { Session } from './store.ts';

/** Entries that are no run's: about who has access, and what is made for reading. */
export type AccountStep = 'access' | 'subenvironment' | 'report';

/** Entries of these steps name users and keys, so they are for those who may read these. */
export const OF_ACCESS: readonly string[] = ['access', 'subenvironment'] satisfies AccountStep[];

/** What is written into the entry. Never a password, nor the token of a link, a session or a key. */
export interface AuditedWork<T> {
  readonly result: T;
  /** null: nothing was changed, so there is no entry. */
  readonly detail: object | null;
}

/** Does the work and writes its audit entry in one transaction. The work may be called more than once. */
export async function audited<T>(
  { store, clock }: Pick<Services, 'store' | 'clock'>,
  { step, by, why }: { readonly step: AccountStep; readonly by: string; readonly why: string },
  work: (session: Session) => Promise<AuditedWork<T>>,
): Promise<T> {
  // Numbers of their own: `r1`, `r2`, … are runs.
  const run = `a${await reserve(store, 'access', 1)}` as RunId;
  return store.transaction(async (session) => {
    const { result, detail } = await work(session);
    if (detail) {
      const entry = { at: clock.now(), by, why, learners: [], detail, counts: {} };
      await recordAudit(store, session, { _id: { run, batch: 0, step }, ...entry });
    }
    return result;
  });
}
