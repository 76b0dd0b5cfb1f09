import { applyChange, asChangeOf, asOfNow, createLearner, withoutGone } from '../domain/applyChange.ts';
import type { Change } from '../domain/change.ts';
import type { LearnerId, SourceName } from '../domain/ids.ts';
import type { Learner } from '../domain/learner.ts';
import { closedSince, endingsOf, type SettleKind } from '../domain/settle.ts';
import type { Structure } from '../domain/structure.ts';
import { oneByOne, TRIES_TOGETHER } from '../reconcile/oneByOne.ts';
import { auditOf, settleLearners, settleNew } from '../reconcile/settleBatch.ts';
import { recordAudit } from '../store/auditChain.ts';
import { changeAll, type Edit, insertAll } from '../store/bulk.ts';
import { isPermanent } from '../store/failures.ts';
import { learnersByExternalId, learnersById, toLearnerDoc } from '../store/learners.ts';
import type { AuditDoc, BatchDoc, BatchId, LearnerDoc, OutboxDoc, RunDoc } from '../store/models.ts';
import { beginEntry, ENQUEUED_BY_WRITER } from '../store/outbox.ts';
import { whyOf } from '../store/runs.ts';
import type { Services } from '../store/services.ts';
import { lookAgainAt, setAside } from '../store/setAside.ts';
import type { Session, Store } from '../store/store.ts';
import { fenceStructure, readStructure } from '../store/structure.ts';
import { HeldByFeeds } from './heldByFeeds.ts';
import { type Outcome, seenBy } from './outcome.ts';

/**
 * Writes one batch of the plan: learners, memberships, audit entry and what is to be settled, in one transaction.
 * New learners are settled in it as well: nobody else can have changed what is theirs (docs/decisions/0003-new-learners-settled-at-once.md).
 * A change that cannot be applied is set aside and does not stop the others (R27). Twice is harmless.
 * Returns the settlement that now waits; null = nothing does.
 */
export async function applyBatch(services: Services, id: BatchId): Promise<SettleKind | null> {
  const { store } = services;
  const [batch, run, entry] = await Promise.all([
    store.batches.findOne({ _id: id }),
    store.runs.findOne({ _id: id.run }),
    beginEntry(store, id, 'apply'),
  ]);
  if (!batch || !run || !entry) return null;
  if (entry.tries <= TRIES_TOGETHER) {
    try {
      return await store.transaction((session) => applyTogether(services, session, run, batch));
    } catch (error) {
      if (!isPermanent(error)) throw error;
      services.log.warn(
        { run: id.run, batch: id.batch, code: (error as { code?: unknown }).code },
        'batch is applied one by one',
      );
    }
  }
  return applyOneByOne(services, run, batch, entry);
}

async function applyTogether(
  services: Services,
  session: Session,
  run: RunDoc,
  batch: BatchDoc,
): Promise<SettleKind | null> {
  const { store } = services;
  const waiting = await store.outbox.findOne({ _id: batch._id, job: 'apply' }, { session });
  if (!waiting) return null;
  const structure = await structureFor(store, session, batch);
  return passOn(services, session, batch, await applyChanges(services, session, run, batch, structure));
}

/**
 * The structure that a batch is applied to. Where it changes memberships, none of its groups is deleted beside it:
 * whoever deletes a group then would not see that somebody joins it.
 */
export function structureFor(
  store: Store,
  session: Session,
  { _id, settle }: Pick<BatchDoc, '_id' | 'settle'>,
): Promise<Structure> {
  return settle ? fenceStructure(store, session, _id) : readStructure(store, session);
}

/**
 * Writes the changes of a batch and their audit entry in the session's transaction, and leaves its outbox entry to the
 * caller. `structure`: of `structureFor`. Returns the settlement that is still to be done; null = none.
 */
export async function applyChanges(
  services: Services,
  session: Session,
  run: RunDoc,
  batch: BatchDoc,
  structure: Structure,
): Promise<SettleKind | null> {
  const { store, clock } = services;
  const now = clock.now();
  const audit = applyAudit(batch._id, run, now, batch.changes);
  if (batch.creates && batch.settle === 'subscribe' && batch.changes.every(({ create }) => create)) {
    const created = await insertLearners(store, session, structure, batch.changes);
    const settlements = await settleNew(services, session, { learners: created, structure, now, run: run._id });
    const settled = auditOf(batch._id, 'subscribe', run.by, whyOf(run), now, settlements);
    await insertAll(store, 'audit', settled ? [audit, settled] : [audit], session);
    return null;
  }
  await writeChanges(services, session, run, batch, structure, batch.changes);
  await store.audit.insertOne(audit, { session });
  return batch.settle;
}

async function insertLearners(
  store: Store,
  session: Session,
  structure: Structure,
  changes: readonly Change[],
): Promise<Learner[]> {
  const held = new HeldByFeeds();
  const created = changes.map((change) => {
    const possible = possibleOf(change, structure);
    const learner = createLearner(possible);
    if (possible !== change) held.add(createLearner(change), learner);
    return { ...learner, revision: 1 };
  });
  await insertAll(store, 'learners', created.map(toLearnerDoc), session);
  await held.write(store, session);
  return created;
}

/** What can be applied of a change: a group may have been deleted since it was planned, whose members nobody would find. */
function possibleOf(change: Change, structure: Structure): Change {
  return withoutGone(change, (group) => structure.group(group) !== undefined);
}

/** Turns the outbox entry from 'apply' to the settlement that is still to be done, or takes it out where there is none. */
async function passOn(
  { store, clock }: Services,
  session: Session,
  batch: BatchDoc,
  settles: SettleKind | null,
  instead: OutboxDoc['instead'] & object = [],
  without: readonly LearnerId[] = [],
): Promise<SettleKind | null> {
  const filter = { _id: batch._id, job: 'apply' as const };
  if (settles === null) await store.outbox.deleteOne(filter, { session });
  else {
    const next = {
      job: settles,
      tries: 0,
      at: new Date(clock.now().getTime() + ENQUEUED_BY_WRITER),
      ...(instead.length > 0 && { instead }),
      ...(without.length > 0 && { without: [...without] }),
    };
    await store.outbox.updateOne(filter, { $set: next, $unset: { error: '', doing: '' } }, { session });
  }
  return settles;
}

async function writeChanges(
  services: Services,
  session: Session,
  run: RunDoc,
  { _id: id }: Pick<BatchDoc, '_id'>,
  structure: Structure,
  changes: readonly Change[],
  alone = '',
): Promise<void> {
  const { store } = services;
  const creations = changes.filter(({ create }) => create);
  const updates = changes.filter(({ create }) => !create);
  if (creations.length > 0) await insertLearners(store, session, structure, creations);
  if (updates.length === 0) return;
  const live = await learnersById(
    store,
    updates.map(({ learner }) => learner),
    session,
  );
  const now = services.clock.now();
  const keeping = updates.filter(
    (change) =>
      change.memberships.some(({ courses }) => courses === 'keep') ||
      closedSince(change, run.createdAt, now).length > 0,
  );
  // What a group gives must be an active subscription before `keep` can turn it into a direct grant (R6).
  if (keeping.length > 0) await settleKeeping(services, session, run, id, keeping, 'before', alone);
  const edits: Edit<LearnerDoc>[] = [];
  const held = new HeldByFeeds();
  for (const change of updates) {
    const before = live.get(change.learner);
    if (!before) continue;
    const planned = run.kind === 'feed' ? asOfNow(change, before, run.feed as SourceName) : change;
    const current = possibleOf(planned, structure);
    if (current !== planned && run.kind === 'feed')
      held.add(applyChange(before, planned), applyChange(before, current));
    const after = lookAgainIfOthers(applyChange(before, current), before, run, services.clock.now());
    if (after === before) continue;
    const changed = toLearnerDoc({ ...after, revision: before.revision + 1 });
    edits.push({ _id: before.id, before: toLearnerDoc(before), after: changed });
    if (run.kind !== 'feed') held.add(before, after);
  }
  if (edits.length > 0) await changeAll(store, 'learners', edits, session);
  await held.write(store, session);
  if (keeping.length > 0) await settleKeeping(services, session, run, id, keeping, 'after', alone);
}

/**
 * A change by hand to what feeds hold lets each of them look again in its next run (R21). So does a change by one feed
 * for others that the learner has left already: it may have been the last thing that kept the learner active (R20).
 * What the feed's own run knew when it was planned needs no second look.
 */
function lookAgainIfOthers(after: Learner, before: Learner, run: RunDoc, now: Date): Learner {
  if (after === before) return after;
  const feeds = before.holds
    .filter(({ feed, leftAt }) => run.kind !== 'feed' || (feed !== run.feed && leftAt !== undefined))
    .map(({ feed }) => feed);
  if (run.kind === 'undo' && run.feed !== null && !feeds.includes(run.feed)) feeds.push(run.feed);
  const marks = before.lookAgain ?? [];
  const seen = run.kind === 'feed' && run.outcome ? seenBy(run.outcome as Outcome) : undefined;
  const stay = marks.filter(
    ({ feed, at }) => !feeds.includes(feed) && !(seen && feed === run.feed && at.getTime() <= seen.getTime()),
  );
  if (feeds.length === 0 && stay.length === marks.length) return after;
  const { lookAgain: _, ...rest } = after;
  const lookAgain = [...stay, ...feeds.map((feed) => ({ feed, at: now }))];
  return { ...rest, ...(lookAgain.length > 0 && { lookAgain }) };
}

async function settleKeeping(
  services: Services,
  session: Session,
  run: RunDoc,
  id: BatchId,
  changes: readonly Change[],
  when: 'before' | 'after',
  alone: string,
): Promise<void> {
  const now = services.clock.now();
  const structure = await readStructure(services.store, session);
  const orders = changes.map((change) => ({
    learner: change.learner,
    endings: when === 'after' ? endingsOf(change, structure).filter(({ option }) => option === 'keep') : [],
    ...(when === 'after' && { closed: closedSince(change, run.createdAt, now) }),
  }));
  const kind = when === 'after' ? 'expire' : 'subscribe';
  // `expire` must not go ahead of a purge of the same change: that settlement follows by itself.
  const safe = orders.filter(({ learner }) => when === 'before' || !hasOption(changes, learner, 'purge'));
  const settlements = await settleLearners(services, session, { orders: safe, structure, kind, now, run: run._id });
  const audit = auditOf(id, `keep-${when}${alone}`, run.by, whyOf(run), now, settlements);
  if (audit) await recordAudit(services.store, session, audit);
}

function hasOption(changes: readonly Change[], learner: LearnerId, option: string): boolean {
  return changes.some(
    (change) => change.learner === learner && change.memberships.some(({ courses }) => courses === option),
  );
}

function applyAudit(id: BatchId, run: RunDoc, at: Date, changes: readonly Change[], step = 'apply'): AuditDoc {
  const learners = changes.map(({ learner }) => learner);
  return {
    _id: { ...id, step },
    at,
    by: run.by,
    why: whyOf(run),
    learners,
    counts: { applied: changes.length },
  };
}

/** Each change in a transaction of its own; what fails for good is set aside with its error (R27). */
async function applyOneByOne(
  services: Services,
  run: RunDoc,
  batch: BatchDoc,
  entry: OutboxDoc,
): Promise<SettleKind | null> {
  const { store, clock } = services;
  const { batch: number } = batch._id;
  const here = await oneByOne(
    services,
    entry,
    batch.changes,
    async (change) => {
      const done = await actualChange(services, change);
      const alone = `-${change.learner}`;
      if (!done) return;
      await store.transaction(async (session) => {
        const structure = await structureFor(store, session, batch);
        await writeChanges(services, session, run, batch, structure, [done], alone);
      });
    },
    async (change, error) => {
      const { learner } = change;
      const groups = change.memberships.map(({ group }) => group);
      await setAside(services, { run, batch: number, job: 'apply', learner, groups, change, error });
    },
  );
  if (!here) return null;
  const aside = await store.setAside.find({ run: run._id, batch: number, job: 'apply' }).toArray();
  const missing = new Set(aside.map(({ learner }) => learner));
  const applied = batch.changes.filter(({ learner }) => !missing.has(learner));
  const instead = await insteadOf(services, applied);
  return store.transaction(async (session) => {
    const waiting = await store.outbox.findOne({ _id: batch._id, job: 'apply' }, { session });
    if (!waiting) return null;
    const audit = applyAudit(batch._id, run, clock.now(), applied);
    const actual = new Map(instead);
    const learners = audit.learners.map((learner) => actual.get(learner) ?? learner);
    await store.audit.insertOne({ ...audit, learners, ...(instead.length > 0 && { instead }) }, { session });
    return passOn(services, session, batch, batch.settle, instead, [...missing]);
  });
}

/** The change as it can be applied now: of the learner that another source made since the plan, where it creates one. Undefined: done already. */
async function actualChange(services: Services, change: Change, session?: Session): Promise<Change | undefined> {
  const actual = change.create ? await existing(services, change, session) : undefined;
  if (actual === undefined) return change;
  return actual === change.learner ? undefined : asUpdate(change, actual);
}

async function insteadOf(services: Services, changes: readonly Change[]): Promise<[LearnerId, LearnerId][]> {
  const instead: [LearnerId, LearnerId][] = [];
  for (const change of changes) {
    const actual = change.create ? await existing(services, change) : undefined;
    if (actual !== undefined && actual !== change.learner) instead.push([change.learner, actual]);
  }
  return instead;
}

/** The learner of that External ID whom another source made since the plan, or this batch in an earlier try. */
async function existing({ store }: Services, { create }: Change, session?: Session): Promise<LearnerId | undefined> {
  const id = create?.externalId;
  if (id === undefined) return undefined;
  return (await learnersByExternalId(store, [id], session)).get(id)?.id;
}

/** The creation of a learner who exists by now, as a change of that learner. */
function asUpdate(change: Change, learner: LearnerId): Change {
  const { attributes = {}, ...texts } = change.create ?? {};
  const fields = [
    ...Object.entries(texts),
    ...Object.entries(attributes).map(([key, value]) => [`attributes.${key}`, value]),
  ];
  return {
    ...asChangeOf(learner, change),
    fields: fields.map(([field, after]) => ({ field: field as string, after: after as string })),
  };
}

/**
 * Applies and settles a set-aside change in the session's transaction, as if it had succeeded at first. Where another
 * source has made the learner since, the feed reads the learner's rows again, so that its table comes to name the real one.
 */
export async function applySetAside(
  services: Services,
  session: Session,
  run: RunDoc,
  batch: number,
  change: Change,
): Promise<void> {
  const { store, clock } = services;
  const { create: _, ...applied } = change;
  const done = (await actualChange(services, change, session)) ?? applied;
  const id = { run: run._id, batch };
  const alone = `-${change.learner}`;
  const now = clock.now();
  const structure = await fenceStructure(store, session, id);
  await writeChanges(services, session, run, { _id: id }, structure, [done], alone);
  const closed = closedSince(done, run.createdAt, now);
  const orders = [{ learner: done.learner, endings: endingsOf(done, structure), closed }];
  const work = { orders, structure, kind: 'purge' as const, now, run: run._id };
  const settlements = await settleLearners(services, session, work);
  const instead: AuditDoc['instead'] = done.learner === change.learner ? [] : [[change.learner, done.learner]];
  const entry = applyAudit(id, run, now, [done], `retry${alone}`);
  await recordAudit(store, session, { ...entry, ...(instead.length > 0 && { instead }) });
  const audit = auditOf(id, `retry-settle${alone}`, run.by, whyOf(run), now, settlements);
  if (audit) await recordAudit(store, session, audit);
  if (instead.length > 0 && run.feed !== null)
    await lookAgainAt(store, run.feed, [change.learner, done.learner], now, session);
}
