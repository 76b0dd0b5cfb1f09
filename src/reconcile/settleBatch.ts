import type { CourseId, LearnerId, RunId } from '../domain/ids.ts';
import type { Membership } from '../domain/learner.ts';
import { type Ending, endingsOf, type SettleKind, type Settlement, settle } from '../domain/settle.ts';
import type { Structure } from '../domain/structure.ts';
import { readWindowOption } from '../store/feeds.ts';
import { learnersById } from '../store/learners.ts';
import type { AuditDoc, BatchDoc, BatchId } from '../store/models.ts';
import type { Services } from '../store/services.ts';
import type { Session } from '../store/store.ts';
import { readStructure } from '../store/structure.ts';
import { readSubscriptions, writeSettlements } from '../store/subscriptions.ts';

/**
 * Brings the subscriptions of one batch's learners in line with the stored facts, in one transaction with the
 * removal of its outbox entry. Level-triggered: late, doubled or mistaken calls write what is true now, or nothing.
 */
export async function settleBatch(services: Services, id: BatchId, kind: SettleKind): Promise<void> {
  const { store, clock } = services;
  const batch = await store.batches.findOne({ _id: id });
  const run = await store.runs.findOne({ _id: id.run }, { projection: { by: 1, feed: 1, kind: 1 } });
  if (!batch || !run) return;
  await store.transaction(async (session) => {
    const entry = await store.outbox.findOneAndDelete({ _id: id, job: kind }, { session });
    if (!entry) return;
    const now = clock.now();
    const actual = new Map(entry.instead ?? []);
    const structure = await readStructure(store, session);
    const orders = ordersOf(batch, structure).map((order) => ({
      ...order,
      learner: actual.get(order.learner) ?? order.learner,
    }));
    const settlements = await settleLearners(services, session, { orders, structure, kind, now, run: id.run });
    const audit = auditOf(id, kind, run.by, run.feed ?? run.kind, now, settlements);
    if (audit) await store.audit.insertOne(audit, { session });
  });
}

/** One learner to settle, with what its removals do to courses. */
export interface SettleOrder {
  readonly learner: LearnerId;
  readonly endings: readonly Ending[];
  /** Courses that the learner's groups gave until the structure was changed. */
  readonly lost?: NonNullable<BatchDoc['lost']>;
  readonly grant?: ReadonlySet<CourseId>;
  readonly revoke?: ReadonlySet<CourseId>;
}

function ordersOf({ changes, learners, lost }: BatchDoc, structure: Structure): SettleOrder[] {
  if (learners) return learners.map((learner) => ({ learner, endings: [], ...(lost && { lost }) }));
  return changes
    .filter(({ memberships }) => memberships.length > 0)
    .map((change) => ({ learner: change.learner, endings: endingsOf(change, structure) }));
}

export interface SettleWork {
  readonly orders: readonly SettleOrder[];
  readonly structure: Structure;
  readonly kind: SettleKind;
  readonly now: Date;
  readonly run: RunId;
}

/** Settles learners within the session's transaction, from what is stored in its snapshot. */
export async function settleLearners(
  { store, purgeRetentionDays }: Services,
  session: Session,
  { orders, structure, kind, now, run }: SettleWork,
): Promise<Settlement[]> {
  const ids = orders.map(({ learner }) => learner);
  const learners = await learnersById(store, ids, session);
  const held = await readSubscriptions(store, ids, session);
  const windowOption = await readWindowOption(store, session);
  const settlements = orders.flatMap(({ learner: id, endings, lost, ...grants }) => {
    const learner = learners.get(id);
    if (!learner) return [];
    const { memberships } = learner;
    const all = lost ? [...endings, ...lostEndings(lost, memberships)] : endings;
    return settle({
      learner: id,
      memberships,
      held: held.get(id),
      structure,
      now,
      kind,
      endings: all,
      windowOption,
      ...grants,
    });
  });
  const retainUntil = purgeRetentionDays > 0 ? new Date(now.getTime() + purgeRetentionDays * 86_400_000) : undefined;
  await writeSettlements(store, session, settlements, held, { run, now, retainUntil });
  return settlements;
}

function lostEndings({ option, groups }: NonNullable<BatchDoc['lost']>, memberships: readonly Membership[]): Ending[] {
  const mine = new Set(memberships.map(({ group }) => group));
  return groups.filter(({ group }) => mine.has(group)).map(({ courses }) => ({ option, courses }));
}

/** The audit entry of a settlement; undefined where it changed nothing. */
export function auditOf(
  id: BatchId,
  step: string,
  by: string,
  why: string,
  at: Date,
  settlements: readonly Settlement[],
): AuditDoc | undefined {
  const counts: Record<string, number> = {};
  const events: NonNullable<AuditDoc['events']> = [];
  for (const settlement of settlements) {
    if (settlement.events.length === 0) continue;
    events.push({ learner: settlement.learner, events: [...settlement.events] });
    for (const { kind } of settlement.events) counts[kind] = (counts[kind] ?? 0) + 1;
  }
  if (events.length === 0) return undefined;
  return { _id: { ...id, step }, at, by, why, learners: events.map(({ learner }) => learner), events, counts };
}
