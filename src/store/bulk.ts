import mongoose, { type mongo } from 'mongoose';
import type { AuditDoc, LearnerDoc, SubscriptionsDoc } from './models.ts';
import type { Session, Store } from './store.ts';

interface Documents {
  learners: LearnerDoc;
  subscriptions: SubscriptionsDoc;
  audit: AuditDoc;
}

/**
 * Many documents by one command, in the session's transaction. The driver's own bulk methods walk through every
 * document once more beforehand, to learn its size; batches here are far below what one command may hold.
 */
export async function insertAll<Name extends keyof Documents>(
  store: Store,
  name: Name,
  documents: readonly Documents[Name][],
  session: Session,
): Promise<void> {
  await write(store, { insert: store[name].collectionName, documents, ordered: true }, session);
}

/**
 * Replaces documents that this transaction has read: whoever has changed one of them since makes it begin again, so that
 * nothing newer is overwritten. By `_id` alone, for which the server needs no query plan: half of its time, otherwise.
 */
export async function replaceAll<Name extends keyof Documents>(
  store: Store,
  name: Name,
  documents: readonly Documents[Name][],
  session: Session,
): Promise<void> {
  const updates = documents.map((document) => ({ q: { _id: document._id }, u: document }));
  const replaced = await write(store, { update: store[name].collectionName, updates, ordered: true }, session);
  if (replaced !== documents.length) throw new Error(`${documents.length - replaced} of the ${name} are not there.`);
}

async function write({ connection }: Store, command: object, session: Session): Promise<number> {
  const reply = await (connection.db as mongo.Db).command(command, { session });
  const [failed] = (reply.writeErrors ?? []) as mongo.ErrorDescription[];
  if (failed) throw new mongoose.mongo.MongoServerError(failed);
  return reply.n as number;
}
