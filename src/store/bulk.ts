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

/** A document as this transaction has read it, and as it is to be. What else both have, and alike, is not looked at. */
export interface Edit<Doc extends { _id: unknown }> {
  readonly _id: Doc['_id'];
  readonly before: Fields<Doc>;
  readonly after: Fields<Doc>;
}

type Fields<Doc> = {
  readonly [Key in keyof Doc as Exclude<Key, '_id'>]: Doc[Key] extends (infer Item)[] ? readonly Item[] : Doc[Key];
};

/**
 * Changes documents that this transaction has read: whoever has changed one of them since makes it begin again, so that
 * nothing newer is overwritten. By `_id` alone, for which the server needs no query plan, and by what differs: half as
 * much to send and to log, and the server looks at no index whose fields stay.
 */
export async function changeAll<Name extends 'learners' | 'subscriptions'>(
  store: Store,
  name: Name,
  edits: readonly Edit<Documents[Name]>[],
  session: Session,
): Promise<void> {
  const updates = edits.map(({ _id, before, after }) => ({ q: { _id }, u: difference(before, after) }));
  const found = await write(store, { update: store[name].collectionName, updates, ordered: true }, session);
  if (found !== edits.length) throw new Error(`${edits.length - found} of the ${name} are not there.`);
}

/**
 * The update that makes the one document the other. Values are compared by identity: what is equal, but not the same, is
 * written once more.
 */
function difference(before: object, after: object): { $set?: object; $unset?: object } {
  const set: Record<string, unknown> = {};
  const unset: Record<string, ''> = {};
  const old = before as Record<string, unknown>;
  for (const [key, value] of Object.entries(after)) if (value !== old[key]) setValue(set, key, old[key], value);
  for (const key of Object.keys(before)) if (!(key in after)) unset[key] = '';
  return {
    ...(Object.keys(set).length > 0 && { $set: set }),
    ...(Object.keys(unset).length > 0 && { $unset: unset }),
  };
}

/** Of an array that did not become shorter, the elements that differ; all of them, where those are most. */
function setValue(set: Record<string, unknown>, key: string, old: unknown, value: unknown): void {
  if (Array.isArray(old) && Array.isArray(value) && value.length >= old.length) {
    const differing: number[] = [];
    for (let at = 0; at < value.length; at += 1) if (value[at] !== old[at]) differing.push(at);
    if (differing.length * 2 <= value.length) {
      for (const at of differing) set[`${key}.${at}`] = value[at];
      return;
    }
  }
  set[key] = value;
}

async function write({ connection }: Store, command: object, session: Session): Promise<number> {
  const reply = await (connection.db as mongo.Db).command(command, { session });
  const [failed] = (reply.writeErrors ?? []) as mongo.ErrorDescription[];
  if (failed) throw new mongoose.mongo.MongoServerError(failed);
  return reply.n as number;
}
