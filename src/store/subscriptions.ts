import type { CourseId, LearnerId, RunId } from '../domain/ids.ts';
import type { Settlement, Subscription, Subscriptions } from '../domain/settle.ts';
import { changeAll, type Edit, insertAll } from './bulk.ts';
import type { ProgressDoc, ProgressId, PurgedDoc, SubscriptionsDoc } from './models.ts';
import { type Session, type Store, within } from './store.ts';

export function toSubscriptions({ _id, ...rest }: SubscriptionsDoc): Subscriptions {
  return { learner: _id, ...rest };
}

function toDoc({ learner, items, ...rest }: Subscriptions): SubscriptionsDoc {
  return { _id: learner, ...rest, items: items as Subscription[] };
}

export async function readSubscriptions(
  store: Store,
  ids: readonly LearnerId[],
  session?: Session,
): Promise<Map<LearnerId, Subscriptions>> {
  const found = new Map<LearnerId, Subscriptions>();
  for (const doc of await store.subscriptions
    .find({ _id: { $in: ids } }, { ...within(session), batchSize: 10_000 })
    .toArray()) {
    found.set(doc._id, toSubscriptions(doc));
  }
  return found;
}

/** Those of the learners who hold a direct grant of one of the courses. */
export async function holdersOf(
  store: Store,
  courses: ReadonlySet<CourseId>,
  learners: readonly LearnerId[],
  session?: Session,
): Promise<LearnerId[]> {
  const held = await readSubscriptions(store, learners, session);
  return learners.filter((id) => held.get(id)?.items.some(({ course, direct }) => direct && courses.has(course)));
}

/** All results of these learners. */
export async function readProgress(store: Store, ids: readonly LearnerId[]): Promise<Map<LearnerId, ProgressDoc[]>> {
  const found = new Map<LearnerId, ProgressDoc[]>();
  for await (const doc of store.progress.find({ '_id.learner': { $in: ids } })) {
    found.set(doc._id.learner, [...(found.get(doc._id.learner) ?? []), doc]);
  }
  return found;
}

export interface WriteSettlements {
  readonly run: RunId;
  readonly now: Date;
  /** Until when purged results stay restorable (R11); undefined = they are gone at once. */
  readonly retainUntil: Date | undefined;
}

/**
 * Writes settlements and moves purged results aside, in the session's transaction. `held`: as the same transaction has
 * read it. Those that change nothing are written too: of two that overlap, the later has to begin again, since what it
 * has read is not so any more (docs/decisions/0052-settlements-conflict.md).
 */
export async function writeSettlements(
  store: Store,
  session: Session,
  settlements: readonly Settlement[],
  held: ReadonlyMap<LearnerId, Subscriptions>,
  { run, now, retainUntil }: WriteSettlements,
): Promise<void> {
  const inserts: SubscriptionsDoc[] = [];
  const edits: Edit<SubscriptionsDoc>[] = [];
  for (const { learner, items, due } of settlements) {
    const before = held.get(learner);
    const after: Subscriptions = { learner, revision: (before?.revision ?? 0) + 1, ...(due && { due }), items };
    if (before) edits.push({ _id: learner, before, after });
    else inserts.push(toDoc(after));
  }
  if (inserts.length > 0) await insertAll(store, 'subscriptions', inserts, session);
  if (edits.length > 0) await changeAll(store, 'subscriptions', edits, session);
  await purgeResults(store, session, settlements, held, { run, now, retainUntil });
}

async function purgeResults(
  store: Store,
  session: Session,
  settlements: readonly Settlement[],
  held: ReadonlyMap<LearnerId, Subscriptions>,
  { run, now, retainUntil }: WriteSettlements,
): Promise<void> {
  const ids: ProgressId[] = settlements.flatMap(({ learner, purge }) => purge.map((course) => ({ learner, course })));
  if (ids.length === 0) return;
  const results = await store.progress.find({ _id: { $in: ids } }, { session }).toArray();
  const key = (learner: LearnerId, course: CourseId) => `${learner} ${course}`;
  const progress = new Map(results.map((doc) => [key(doc._id.learner, doc._id.course), doc]));
  if (retainUntil) {
    const purged: PurgedDoc[] = [];
    for (const { learner, course } of ids) {
      const subscription = held.get(learner)?.items.find((item) => item.course === course);
      const result = progress.get(key(learner, course));
      if (!subscription && !result) continue;
      const { _id: _, ...rest } = result ?? { _id: undefined };
      purged.push({
        _id: { learner, course, run },
        ...(subscription && { subscription }),
        ...(result && { progress: rest as Omit<typeof result, '_id'> }),
        purgedAt: now,
        until: retainUntil,
      });
    }
    if (purged.length > 0) {
      await store.purged.bulkWrite(
        purged.map(({ _id, ...doc }) => ({ replaceOne: { filter: { _id }, replacement: doc, upsert: true } })),
        { session, ordered: false },
      );
    }
  }
  if (results.length > 0) await store.progress.deleteMany({ _id: { $in: results.map((doc) => doc._id) } }, { session });
}
