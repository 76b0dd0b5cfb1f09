import { applyChange, createLearner } from '../domain/applyChange.ts';
import type { Change } from '../domain/change.ts';
import type { LearnerId } from '../domain/ids.ts';
import type { Learner } from '../domain/learner.ts';
import { endingsOf, type SettleKind } from '../domain/settle.ts';
import { auditOf, settleLearners } from '../reconcile/settleBatch.ts';
import { isPermanent } from '../store/failures.ts';
import { learnersByExternalId, learnersById, toLearnerDoc } from '../store/learners.ts';
import type { AuditDoc, BatchDoc, BatchId, OutboxDoc, RunDoc } from '../store/models.ts';
import { ENQUEUED_BY_WRITER } from '../store/outbox.ts';
import type { Services } from '../store/services.ts';
import { setAside } from '../store/setAside.ts';
import type { Session } from '../store/store.ts';
import { readStructure } from '../store/structure.ts';

/** Tries of a whole batch, after which its changes are applied one by one. */
const TRIES_TOGETHER = 4;

/**
 * Writes one batch of the plan: learners, memberships, audit entry and what is to be settled, in one transaction.
 * A change that cannot be applied is set aside and does not stop the others (R27). Twice is harmless.
 * Returns the settlement that now waits; null = nothing does.
 */
export async function applyBatch(services: Services, id: BatchId): Promise<SettleKind | null> {
  const { store } = services;
  const [batch, run, entry] = await Promise.all([
    store.batches.findOne({ _id: id }),
    store.runs.findOne({ _id: id.run }),
    store.outbox.findOneAndUpdate({ _id: id, job: 'apply' }, { $inc: { tries: 1 } }, { returnDocument: 'after' }),
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
  return applyOneByOne(services, run, batch);
}

async function applyTogether(
  services: Services,
  session: Session,
  run: RunDoc,
  batch: BatchDoc,
): Promise<SettleKind | null> {
  const { store, clock } = services;
  const now = clock.now();
  const waiting = await store.outbox.findOne({ _id: batch._id, job: 'apply' }, { session });
  if (!waiting) return null;
  await writeChanges(services, session, run, batch, batch.changes);
  await store.audit.insertOne(applyAudit(batch._id, run, now, batch.changes), { session });
  return passOn(services, session, batch, []);
}

/** Turns the outbox entry from 'apply' to the batch's settlement, or takes it out where there is none. */
async function passOn(
  { store, clock }: Services,
  session: Session,
  batch: BatchDoc,
  instead: OutboxDoc['instead'] & object,
): Promise<SettleKind | null> {
  const filter = { _id: batch._id, job: 'apply' as const };
  if (batch.settle === null) await store.outbox.deleteOne(filter, { session });
  else {
    const next = {
      job: batch.settle,
      tries: 0,
      at: new Date(clock.now().getTime() + ENQUEUED_BY_WRITER),
      ...(instead.length > 0 && { instead }),
    };
    await store.outbox.updateOne(filter, { $set: next }, { session });
  }
  return batch.settle;
}

async function writeChanges(
  services: Services,
  session: Session,
  run: RunDoc,
  { _id: id }: BatchDoc,
  changes: readonly Change[],
): Promise<void> {
  const { store } = services;
  const created = changes.filter(({ create }) => create).map((change) => createLearner(change));
  const updates = changes.filter(({ create }) => !create);
  if (created.length > 0) {
    const docs = created.map((learner) => toLearnerDoc({ ...learner, revision: 1 }));
    await store.learners.insertMany(docs, { session, ordered: true });
  }
  if (updates.length === 0) return;
  const live = await learnersById(
    store,
    updates.map(({ learner }) => learner),
    session,
  );
  const keeping = updates.filter(({ memberships }) => memberships.some(({ courses }) => courses === 'keep'));
  // What a group gives must be an active subscription before `keep` can turn it into a direct grant (R6).
  if (keeping.length > 0) await settleKeeping(services, session, run, id, keeping, 'before');
  const ops = [];
  for (const change of updates) {
    const before = live.get(change.learner);
    if (!before) continue;
    const after = lookAgainIfOthers(applyChange(before, change), before, run, services.clock.now());
    if (after === before) continue;
    const replacement = toLearnerDoc({ ...after, revision: before.revision + 1 });
    ops.push({ replaceOne: { filter: { _id: before.id, revision: before.revision }, replacement } });
  }
  if (ops.length > 0) {
    const { matchedCount } = await store.learners.bulkWrite(ops, { session, ordered: true });
    if (matchedCount !== ops.length) throw new Error('A learner was changed by another worker meanwhile.');
  }
  if (keeping.length > 0) await settleKeeping(services, session, run, id, keeping, 'after');
}

/**
 * A change by hand to what feeds hold lets each of them look again in its next run (R21). So does a change by one feed
 * for others that the learner has left already: it may have been the last thing that kept the learner active (R20).
 */
function lookAgainIfOthers(after: Learner, before: Learner, run: RunDoc, now: Date): Learner {
  if (after === before) return after;
  const feeds = before.holds
    .filter(({ feed, leftAt }) => run.kind !== 'feed' || (feed !== run.feed && leftAt !== undefined))
    .map(({ feed }) => feed);
  if (feeds.length === 0) return after;
  const others = (before.lookAgain ?? []).filter(({ feed }) => !feeds.includes(feed));
  return { ...after, lookAgain: [...others, ...feeds.map((feed) => ({ feed, at: now }))] };
}

async function settleKeeping(
  services: Services,
  session: Session,
  run: RunDoc,
  id: BatchId,
  changes: readonly Change[],
  when: 'before' | 'after',
): Promise<void> {
  const now = services.clock.now();
  const structure = await readStructure(services.store, session);
  const orders = changes.map((change) => ({
    learner: change.learner,
    endings: when === 'after' ? endingsOf(change, structure).filter(({ option }) => option === 'keep') : [],
  }));
  const kind = when === 'after' ? 'expire' : 'subscribe';
  // `expire` must not go ahead of a purge of the same change: that settlement follows by itself.
  const safe = orders.filter(({ learner }) => when === 'before' || !hasOption(changes, learner, 'purge'));
  const settlements = await settleLearners(services, session, { orders: safe, structure, kind, now, run: run._id });
  const audit = auditOf(id, `keep-${when}`, run.by, run.feed ?? run.kind, now, settlements);
  if (audit) await services.store.audit.insertOne(audit, { session });
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
    why: run.feed ?? run.kind,
    learners,
    counts: { applied: changes.length },
  };
}

/** Each change in a transaction of its own; what fails for good is set aside with its error (R27). */
async function applyOneByOne(services: Services, run: RunDoc, batch: BatchDoc): Promise<SettleKind | null> {
  const { store, clock } = services;
  const instead: [LearnerId, LearnerId][] = [];
  const applied: Change[] = [];
  for (const change of batch.changes) {
    try {
      const actual = change.create ? await existing(services, change) : undefined;
      const done = actual && actual !== change.learner ? asUpdate(change, actual) : actual ? undefined : change;
      if (actual && actual !== change.learner) instead.push([change.learner, actual]);
      if (done) await store.transaction((session) => writeChanges(services, session, run, batch, [done]));
      applied.push(change);
    } catch (error) {
      if (!isPermanent(error)) throw error;
      await setAside(services, { run, batch: batch._id.batch, job: 'apply', change, error });
    }
  }
  return store.transaction(async (session) => {
    const waiting = await store.outbox.findOne({ _id: batch._id, job: 'apply' }, { session });
    if (!waiting) return null;
    const audit = applyAudit(batch._id, run, clock.now(), applied);
    await store.audit.insertOne({ ...audit, ...(instead.length > 0 && { instead }) }, { session });
    return passOn(services, session, batch, instead);
  });
}

/** The learner of that External ID whom another source made since the plan, or this batch in an earlier try. */
async function existing({ store }: Services, { create }: Change): Promise<LearnerId | undefined> {
  const id = create?.externalId;
  if (id === undefined) return undefined;
  return (await learnersByExternalId(store, [id])).get(id)?.id;
}

/** The creation of a learner who exists by now, as a change of that learner. */
function asUpdate({ create: _, ...change }: Change, learner: LearnerId): Change {
  const { attributes = {}, ...texts } = _ ?? {};
  const fields = [
    ...Object.entries(texts),
    ...Object.entries(attributes).map(([key, value]) => [`attributes.${key}`, value]),
  ];
  return {
    ...change,
    learner,
    fields: fields.map(([field, after]) => ({ field: field as string, after: after as string })),
  };
}

/** Tries a set-aside change once more. True where it is applied and settled now. */
export async function applySetAside(services: Services, run: RunDoc, batch: number, change: Change): Promise<true> {
  const { store, clock } = services;
  const actual = change.create ? await existing(services, change) : undefined;
  const done = actual ? asUpdate(change, actual) : change;
  await store.transaction(async (session) => {
    const now = clock.now();
    const id = { run: run._id, batch };
    await writeChanges(services, session, run, { _id: id, settle: null, creates: false, changes: [done] }, [done]);
    const structure = await readStructure(store, session);
    const orders = [{ learner: done.learner, endings: endingsOf(done, structure) }];
    const settlements = await settleLearners(services, session, {
      orders,
      structure,
      kind: 'purge',
      now,
      run: run._id,
    });
    await store.audit.insertOne(applyAudit(id, run, now, [done], `retry-${done.learner}`), { session });
    const audit = auditOf(id, `retry-settle-${done.learner}`, run.by, run.feed ?? run.kind, now, settlements);
    if (audit) await store.audit.insertOne(audit, { session });
  });
  return true;
}
