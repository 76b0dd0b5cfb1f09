import { applyChange, asChangeOf } from '../domain/applyChange.ts';
import type { Change, SubscriptionEvent } from '../domain/change.ts';
import type { CourseId, GroupId, LearnerId } from '../domain/ids.ts';
import type { Learner } from '../domain/learner.ts';
import type { Subscription } from '../domain/settle.ts';
import { type Group, Structure } from '../domain/structure.ts';
import { reverse } from '../domain/undo.ts';
import { learnersById, memberIds } from '../store/learners.ts';
import type { AuditDoc, BatchId } from '../store/models.ts';
import type { Store } from '../store/store.ts';
import { readStructure } from '../store/structure.ts';
import { readSubscriptions } from '../store/subscriptions.ts';
import { chunks } from './chunks.ts';

/** One audit entry as far as it concerns one learner. */
export interface LearnerEvent {
  readonly entry: AuditDoc;
  /** What a run applied to the learner; the run's own creation of it where `change.create`. */
  readonly change: Change | undefined;
  readonly events: readonly SubscriptionEvent[];
}

/** All that the audit tells of a learner, oldest first (R28). */
export async function learnerEvents(store: Store, learner: LearnerId): Promise<LearnerEvent[]> {
  const entries = await store.audit.find({ learners: learner }).toArray();
  const found: LearnerEvent[] = [];
  for (const entry of entries.sort(inOrder)) {
    const events = (entry.events ?? []).filter((one) => one.learner === learner).flatMap((one) => one.events);
    found.push({ entry, change: await changeOf(store, entry, learner), events });
  }
  return found;
}

/** Steps of the audit by which changes of a batch were applied. */
export const CHANGES = /^(apply|retry-[0-9]+)$/;

/** The change that the entry says was applied to the learner. */
async function changeOf(store: Store, { _id, instead }: AuditDoc, learner: LearnerId): Promise<Change | undefined> {
  if (!CHANGES.test(_id.step)) return undefined;
  const planned = instead?.find(([, actual]) => actual === learner)?.[0] ?? learner;
  const only = { $filter: { input: '$changes', cond: { $eq: ['$$this.learner', planned] } } };
  const [batch] = await store.batches
    .aggregate<{ changes: Change[] }>([
      { $match: { _id: { run: _id.run, batch: _id.batch } } },
      { $project: { changes: only } },
    ])
    .toArray();
  const change = batch?.changes[0];
  return !change || planned === learner ? change : asChangeOf(learner, change);
}

/** By time, then run, then batch, and an application before its settlement. */
export function inOrder(a: AuditDoc, b: AuditDoc): number {
  const number = ({ _id }: AuditDoc) => Number(_id.run.slice(1));
  const rank = ({ _id }: AuditDoc) => (CHANGES.test(_id.step) ? 0 : 1);
  return a.at.getTime() - b.at.getTime() || number(a) - number(b) || a._id.batch - b._id.batch || rank(a) - rank(b);
}

/** A learner as of a date: null = there was none yet. */
export interface LearnerThen {
  readonly learner: Learner | null;
  readonly subscriptions: readonly Subscription[];
}

/** The learner as of a date, from what is stored now and the audit read backwards. */
export async function learnerAt(store: Store, id: LearnerId, at: Date): Promise<LearnerThen> {
  const live = (await learnersById(store, [id])).get(id);
  let items = [...((await readSubscriptions(store, [id])).get(id)?.items ?? [])];
  let learner: Learner | null = live ?? null;
  const events = await learnerEvents(store, id);
  for (const { entry, change, events: list } of events.toReversed()) {
    if (entry.at <= at) break;
    if (learner && change) learner = change.create ? null : applyChange(learner, reverse(change));
    const purged = list.some(({ kind }) => kind === 'purged') ? await keptResults(store, id, entry._id) : [];
    for (const event of list.toReversed()) items = before(items, event, purged);
  }
  const changedAt = new Map<CourseId, Date>();
  for (const { entry, events: list } of events) {
    if (entry.at > at) break;
    for (const { kind, course } of list) if (STATUS.has(kind)) changedAt.set(course, entry.at);
  }
  const subscriptions = items.map((item) => ({ ...item, since: changedAt.get(item.course) ?? item.since }));
  return { learner, subscriptions: learner ? subscriptions : [] };
}

const STATUS: ReadonlySet<SubscriptionEvent['kind']> = new Set(['subscribed', 'reactivated', 'expired']);

async function keptResults(store: Store, learner: LearnerId, { run }: BatchId): Promise<Subscription[]> {
  const docs = await store.purged.find({ '_id.run': run, '_id.learner': learner } as never).toArray();
  return docs.flatMap(({ subscription }) => subscription ?? []);
}

/** The subscriptions before the event. */
function before(
  items: readonly Subscription[],
  event: SubscriptionEvent,
  purged: readonly Subscription[],
): Subscription[] {
  const { course } = event;
  const set = (part: Partial<Subscription>) =>
    items.map((item) => (item.course === course ? { ...item, ...part } : item));
  switch (event.kind) {
    case 'subscribed':
      return items.filter((item) => item.course !== course);
    case 'reactivated':
      return set({ status: 'expired' });
    case 'expired':
      return set({ status: 'active' });
    case 'kept':
    case 'granted':
      return set({ direct: false });
    case 'revoked':
      return set({ direct: true });
    case 'purged': {
      if (!event.held || items.some((item) => item.course === course)) return [...items];
      const kept = purged.find((item) => item.course === course);
      return [...items, kept ?? { course, status: 'active', direct: false, since: new Date(0) }];
    }
    default:
      return [...items];
  }
}

/** A change of structure as its audit entry keeps it. */
export type StructureDetail = readonly { readonly before: Group | null; readonly after: Group | null }[];

/** The groups and their links as of a date. */
export async function structureAt(store: Store, at: Date): Promise<Structure> {
  const now = await readStructure(store);
  const groups = new Map<GroupId, Group>([...now.groups].map((group) => [group.id, group]));
  const entries = await store.audit.find({ groups: { $exists: true }, at: { $gt: at } }).toArray();
  for (const { detail } of entries.sort(inOrder).toReversed()) {
    for (const { before: old, after } of detail as StructureDetail) {
      if (old) groups.set(old.id, old);
      else if (after) groups.delete(after.id);
    }
  }
  return new Structure([...groups.values()]);
}

/** Learners who may have been in one of the groups at the date: its members now, and those who came or left since. */
export async function memberIdsSince(store: Store, groups: readonly GroupId[], at: Date): Promise<LearnerId[]> {
  const ids = new Set(await memberIds(store, groups));
  const entries = await store.audit
    .find({ at: { $gt: at }, 'counts.applied': { $gt: 0 } }, { projection: { _id: 1, instead: 1 } })
    .toArray();
  const actual = new Map(entries.flatMap(({ instead }) => instead ?? []));
  for (const some of chunks(entries, 100)) {
    const concerned = { $filter: { input: '$changes', cond: { $gt: [{ $size: inGroups(groups) }, 0] } } };
    const batches = store.batches.aggregate<{ changes: Change[] }>([
      { $match: { _id: { $in: some.map(({ _id: { run, batch } }) => ({ run, batch })) } } },
      { $project: { changes: concerned } },
    ]);
    for await (const { changes } of batches) for (const { learner } of changes) ids.add(actual.get(learner) ?? learner);
  }
  return [...ids].sort((a, b) => a - b);
}

function inGroups(groups: readonly GroupId[]) {
  return { $filter: { input: '$$this.memberships', as: 'one', cond: { $in: ['$$one.group', groups] } } };
}
