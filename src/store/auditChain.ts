import type { AuditDoc } from './models.ts';
import type { Session, Store } from './store.ts';

/** Writes an entry in the session's transaction; one that is there already stays as it is. */
export async function recordAudit(store: Store, session: Session, { _id, ...entry }: AuditDoc): Promise<void> {
  await store.audit.updateOne({ _id }, { $setOnInsert: entry }, { session, upsert: true });
}
