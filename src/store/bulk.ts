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

/** Returns how many of the documents were there to be replaced. */
export async function replaceAll<Name extends keyof Documents>(
  store: Store,
  name: Name,
  replacements: readonly { readonly filter: object; readonly replacement: Documents[Name] }[],
  session: Session,
): Promise<number> {
  const updates = replacements.map(({ filter, replacement }) => ({ q: filter, u: replacement }));
  return write(store, { update: store[name].collectionName, updates, ordered: true }, session);
}

async function write({ connection }: Store, command: object, session: Session): Promise<number> {
  const reply = await (connection.db as mongo.Db).command(command, { session });
  const [failed] = (reply.writeErrors ?? []) as mongo.ErrorDescription[];
  if (failed) throw new mongoose.mongo.MongoServerError(failed);
  return reply.n as number;
}
