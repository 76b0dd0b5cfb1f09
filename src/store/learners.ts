import { type ExternalId, emailKey, type GroupId, type LearnerId, type SourceName } from '../domain/ids.ts';
import type { Learner } from '../domain/learner.ts';
import type { LearnerDoc } from './models.ts';
import { type Session, type Store, within } from './store.ts';

/** Documents that one reply may bring: more than are asked for at once, so that a second is never needed. */
const AT_ONCE = 10_000;

export function toLearner({ _id, emailKey: _, ...rest }: LearnerDoc): Learner {
  return { id: _id, ...rest };
}

export function toLearnerDoc({ id, ...rest }: Learner): LearnerDoc {
  return { _id: id, ...rest, ...(rest.email && { emailKey: emailKey(rest.email) }) };
}

export async function learnersById(
  store: Store,
  ids: readonly LearnerId[],
  session?: Session,
): Promise<Map<LearnerId, Learner>> {
  const found = new Map<LearnerId, Learner>();
  for (const doc of await store.learners
    .find({ _id: { $in: ids } }, { ...within(session), batchSize: AT_ONCE })
    .toArray()) {
    found.set(doc._id, toLearner(doc));
  }
  return found;
}

/** The memberships alone of these learners: of a whole learner, most is names and attributes. */
export async function membershipsById(
  store: Store,
  ids: readonly LearnerId[],
  session: Session,
): Promise<Map<LearnerId, LearnerDoc['memberships']>> {
  const options = { projection: { memberships: 1 }, session, batchSize: AT_ONCE };
  const docs = await store.learners.find({ _id: { $in: ids } }, options).toArray();
  return new Map(docs.map(({ _id, memberships }) => [_id, memberships]));
}

export async function learnersByExternalId(
  store: Store,
  ids: readonly ExternalId[],
  session?: Session,
): Promise<Map<ExternalId, Learner>> {
  const found = new Map<ExternalId, Learner>();
  for (const doc of await store.learners
    .find({ externalId: { $in: ids } }, { ...within(session), batchSize: AT_ONCE })
    .toArray()) {
    found.set(doc.externalId as ExternalId, toLearner(doc));
  }
  return found;
}

/** Learners who hold one of these e-mail addresses, by `emailKey`. */
export async function learnersByEmail(
  store: Store,
  emails: readonly string[],
  session?: Session,
): Promise<Map<string, Learner>> {
  const found = new Map<string, Learner>();
  for (const doc of await store.learners
    .find({ emailKey: { $in: emails.map(emailKey) } }, { ...within(session), batchSize: AT_ONCE })
    .toArray()) {
    found.set(doc.emailKey as string, toLearner(doc));
  }
  return found;
}

/**
 * Learners at which the feed must look again, though their rows are as they were: those of operations that were set
 * aside (R27) and, where the feed has authority, those whom somebody else has changed (R21).
 */
export async function learnersToLookAt(
  store: Store,
  { feed, authority }: { feed: SourceName; authority: 'feed' | 'shared' },
): Promise<LearnerId[]> {
  const changed = store.learners.find({ 'lookAgain.feed': feed }, { projection: { _id: 1 } });
  // With shared authority a change by hand stays until the feed's own rows change.
  const docs = authority === 'feed' ? await changed.toArray() : [];
  const marked = await store.feeds.findOne({ _id: feed }, { projection: { lookAgain: 1 } });
  return [...new Set([...docs.map((doc) => doc._id), ...(marked?.lookAgain ?? []).map(({ learner }) => learner)])];
}

export async function memberIds(store: Store, groups: readonly GroupId[]): Promise<LearnerId[]> {
  const docs = await store.learners
    .find({ 'memberships.group': { $in: groups as GroupId[] } }, { projection: { _id: 1 } })
    .sort({ _id: 1 })
    .toArray();
  return docs.map((doc) => doc._id);
}

export function countMembers(store: Store, group: GroupId): Promise<number> {
  return store.learners.countDocuments({ 'memberships.group': group });
}

/** Is anybody stored? Asked of the documents: MongoDB's own estimate may say 0 after a crash, and everybody would be taken for new. */
export async function hasLearners(store: Store): Promise<boolean> {
  return (await store.learners.findOne({}, { projection: { _id: 1 } })) !== null;
}

/** Who has an External ID, and with which e-mail address. */
export interface Address {
  readonly id: LearnerId;
  readonly emailKey?: string;
}

/** Number and e-mail address of stored learners by External ID, for a small part of what reading whole learners costs. */
export async function addressesByExternalId(
  store: Store,
  ids: readonly ExternalId[],
): Promise<Map<ExternalId, Address>> {
  const found = new Map<ExternalId, Address>();
  const options = { projection: { externalId: 1, emailKey: 1 }, batchSize: AT_ONCE };
  for (let at = 0; at < ids.length; at += 5_000) {
    const docs = store.learners.find({ externalId: { $in: ids.slice(at, at + 5_000) } }, options);
    for (const { _id: id, externalId, emailKey } of await docs.toArray())
      found.set(externalId as ExternalId, { id, ...(emailKey && { emailKey }) });
  }
  return found;
}

/** Numbers of stored learners by External ID. */
export async function learnerIdsByExternalId(
  store: Store,
  ids: readonly ExternalId[],
): Promise<Map<ExternalId, LearnerId>> {
  const found = new Map<ExternalId, LearnerId>();
  for (let at = 0; at < ids.length; at += 5_000) {
    const some = ids.slice(at, at + 5_000);
    const docs = store.learners.find(
      { externalId: { $in: some } },
      { projection: { externalId: 1 }, batchSize: AT_ONCE },
    );
    for (const doc of await docs.toArray()) found.set(doc.externalId as ExternalId, doc._id);
  }
  return found;
}

/** Who of these learners has which External ID. */
export async function externalIdsOf(store: Store, ids: readonly LearnerId[]): Promise<Map<ExternalId, LearnerId>> {
  const found = new Map<ExternalId, LearnerId>();
  for (let at = 0; at < ids.length; at += 5_000) {
    const filter = { _id: { $in: ids.slice(at, at + 5_000) } };
    const docs = store.learners.find(filter, { projection: { externalId: 1 }, batchSize: AT_ONCE });
    for (const { _id, externalId } of await docs.toArray()) if (externalId !== undefined) found.set(externalId, _id);
  }
  return found;
}

/** Everybody whom the feed names or holds in a group: a scan, for when there is no packed table to tell. */
export async function* learnersHeldBy(store: Store, feed: SourceName): AsyncGenerator<LearnerId, void, undefined> {
  const held = { $or: [{ 'holds.feed': feed }, { 'memberships.sources.source': feed }] };
  for await (const { _id } of store.learners.find(held, { projection: { _id: 1 } })) yield _id;
}
