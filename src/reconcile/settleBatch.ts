import type { Change } from '../domain/change.ts';
import { isValid } from '../domain/entitlement.ts';
import type { CourseId, LearnerId, RunId } from '../domain/ids.ts';
import type { Learner, Membership } from '../domain/learner.ts';
import {
  type ClosedWindow,
  closedSince,
  type Ending,
  endingsOf,
  type SettleKind,
  type Settlement,
  settle,
} from '../domain/settle.ts';
import type { Structure } from '../domain/structure.ts';
import { recordAudit } from '../store/auditChain.ts';
import { isPermanent } from '../store/failures.ts';
import { readWindowOption } from '../store/feeds.ts';
import { membershipsById } from '../store/learners.ts';
import type { AuditDoc, BatchDoc, BatchId, Restore, RunDoc, SetAsideDoc } from '../store/models.ts';
import { beginEntry } from '../store/outbox.ts';
import { restorePurged } from '../store/restore.ts';
import { whyOf } from '../store/runs.ts';
import type { Services } from '../store/services.ts';
import { setAside } from '../store/setAside.ts';
import type { Session, Store } from '../store/store.ts';
import { readStructure } from '../store/structure.ts';
import { holdersOf, readSubscriptions, writeSettlements } from '../store/subscriptions.ts';
import { oneByOne, TRIES_TOGETHER } from './oneByOne.ts';

/**
 * Brings the subscriptions of one batch's learners in line with the stored facts, in one transaction with the
 * removal of its outbox entry. Level-triggered: late, doubled or mistaken calls write what is true now, or nothing.
 * A learner who cannot be settled is set aside and does not stop the others (R27).
 */
export async function settleBatch(services: Services, id: BatchId, kind: SettleKind): Promise<void> {
  const { store, log } = services;
  const [batch, run, entry] = await Promise.all([
    store.batches.findOne({ _id: id }),
    store.runs.findOne(
      { _id: id.run },
      { projection: { by: 1, feed: 1, kind: 1, source: 1, undoes: 1, createdAt: 1 } },
    ),
    beginEntry(store, id, kind),
  ]);
  if (!batch || !run || !entry) return;
  const items = itemsOf(batch, new Map(entry.instead ?? [])).filter(({ learner }) => !entry.without?.includes(learner));
  if (entry.tries <= TRIES_TOGETHER) {
    try {
      return await store.transaction(async (session) => {
        // Deleted last: a worker that dies before holds no lock that the next one would have to wait for.
        if (!(await store.outbox.findOne({ _id: id, job: kind }, { session }))) return;
        await settleItems(services, session, run, batch, kind, items, kind);
        await store.outbox.deleteOne({ _id: id, job: kind }, { session });
      });
    } catch (error) {
      if (!isPermanent(error)) throw error;
      log.warn({ ...id, job: kind, code: (error as { code?: unknown }).code }, 'batch is settled one by one');
    }
  }
  const here = await oneByOne(
    services,
    entry,
    items,
    (item) => settleItem(services, run, batch, kind, item),
    async ({ learner, change }, error) => {
      const groups = (change?.memberships ?? []).map(({ group }) => group);
      await setAside(services, { run, batch: id.batch, job: kind, learner, groups, error });
    },
  );
  if (here) await store.outbox.deleteOne({ _id: id, job: kind });
}

/** One learner of a batch that is to be settled. */
interface Item {
  readonly learner: LearnerId;
  readonly change?: Change;
  readonly restore?: Restore;
}

function itemsOf({ changes, learners, restores = [] }: BatchDoc, actual: ReadonlyMap<LearnerId, LearnerId>): Item[] {
  if (learners) return learners.map((learner) => ({ learner }));
  const left = new Map(restores.map((restore) => [restore.learner, restore]));
  const changed = changes
    .filter(({ learner, memberships }) => memberships.length > 0 || left.has(learner))
    .map((change) => {
      const restore = left.get(change.learner);
      left.delete(change.learner);
      return { learner: actual.get(change.learner) ?? change.learner, change, ...(restore && { restore }) };
    });
  return [...changed, ...[...left.values()].map((restore) => ({ learner: restore.learner, restore }))];
}

type SettlingRun = Pick<RunDoc, '_id' | 'by' | 'feed' | 'kind' | 'source' | 'undoes' | 'createdAt'>;

/** Settles the learners of a batch in the transaction that has written its changes. */
export function settleChanges(
  services: Services,
  session: Session,
  run: SettlingRun,
  batch: BatchDoc,
  kind: SettleKind,
): Promise<void> {
  return settleItems(services, session, run, batch, kind, itemsOf(batch, new Map()), kind);
}

async function settleItem(
  services: Services,
  run: SettlingRun,
  batch: BatchDoc,
  kind: SettleKind,
  item: Item,
): Promise<void> {
  await services.store.transaction((session) =>
    settleItems(services, session, run, batch, kind, [item], stepOf(kind, item)),
  );
}

/** What the audit calls the settlement of one learner alone. */
function stepOf(kind: SettleKind, { learner }: Item): string {
  return `${kind}-${learner}`;
}

async function settleItems(
  services: Services,
  session: Session,
  run: SettlingRun,
  batch: BatchDoc,
  kind: SettleKind,
  items: readonly Item[],
  step: string,
): Promise<void> {
  const { store, clock } = services;
  const now = clock.now();
  const structure = await readStructure(store, session);
  const restores = items.flatMap(({ restore }) => restore ?? []);
  if (run.undoes) await restorePurged(store, session, run.undoes, restores);
  const { grants, lost } = batch;
  const orders = (await concernedBy(store, session, grants, items)).map(({ learner, change, restore }) => {
    const given: Pick<Restore, 'grant' | 'revoke' | 'release'> | undefined = restore ?? grants;
    return {
      learner,
      endings: change ? endingsOf(change, structure) : revokeEndings(grants, kind),
      ...(change && { closed: closedSince(change, run.createdAt, now) }),
      ...(given && {
        grant: new Set(given.grant),
        revoke: new Set(given.revoke),
        release: new Set(given.release),
      }),
      ...(lost && { lost }),
    };
  });
  const settlements = await settleLearners(services, session, { orders, structure, kind, now, run: run._id });
  const audit = auditOf(batch._id, step, run.by, whyOf(run), now, settlements);
  if (audit) await recordAudit(store, session, audit);
}

/** From those who hold no grant there is nothing to take back. */
async function concernedBy(
  store: Store,
  session: Session,
  grants: BatchDoc['grants'],
  items: readonly Item[],
): Promise<readonly Item[]> {
  if (!grants || grants.revoke.length === 0) return items;
  const ids = items.map(({ learner }) => learner);
  const holders = new Set(await holdersOf(store, new Set(grants.revoke), ids, session));
  return items.filter(({ learner }) => holders.has(learner));
}

function revokeEndings(grants: BatchDoc['grants'], option: SettleKind): Ending[] {
  return grants && option === 'purge' ? [{ option, courses: grants.revoke }] : [];
}

/** Settles a learner whose settlement was set aside, in the session's transaction. */
export async function settleSetAside(
  services: Services,
  session: Session,
  { run: id, batch: number, job, learner }: SetAsideDoc,
): Promise<void> {
  const { store } = services;
  const run = await store.runs.findOne({ _id: id });
  const batch = await store.batches.findOne({ _id: { run: id, batch: number } });
  if (!run || !batch || job === 'apply') return;
  const audits = await store.audit.find({ _id: { run: id, batch: number, step: 'apply' } }).toArray();
  const items = itemsOf(batch, new Map(audits.flatMap(({ instead }) => instead ?? [])));
  const item = items.find((one) => one.learner === learner);
  if (item) await settleItems(services, session, run, batch, job, [item], stepOf(job, item));
}

/** One learner to settle, with what its removals do to courses. */
export interface SettleOrder {
  readonly learner: LearnerId;
  readonly endings: readonly Ending[];
  /** Courses that the learner's groups gave until the structure was changed. */
  readonly lost?: NonNullable<BatchDoc['lost']>;
  readonly grant?: ReadonlySet<CourseId>;
  readonly revoke?: ReadonlySet<CourseId>;
  readonly release?: ReadonlySet<CourseId>;
  readonly closed?: readonly ClosedWindow[];
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
  const stored = await membershipsById(store, ids, session);
  const held = await readSubscriptions(store, ids, session);
  const windowOption = await readWindowOption(store, session);
  const settlements = orders.flatMap(({ learner: id, endings, lost, ...grants }) => {
    const memberships = stored.get(id);
    if (!memberships) return [];
    const all = lost ? [...endings, ...lostEndings(lost, memberships, now)] : endings;
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

/** Gives learners that this transaction creates what they are entitled to. */
export async function settleNew(
  { store }: Services,
  session: Session,
  { learners, structure, now, run }: Omit<SettleWork, 'orders' | 'kind'> & { learners: readonly Learner[] },
): Promise<Settlement[]> {
  const windowOption = () => 'expire' as const;
  const settlements = learners.map(({ id: learner, memberships }) =>
    settle({ learner, memberships, held: undefined, structure, now, kind: 'subscribe', endings: [], windowOption }),
  );
  // Nobody can settle beside this whom nobody can see yet: who is given nothing needs no document.
  const given = settlements.filter(({ changed }) => changed);
  await writeSettlements(store, session, given, new Map(), { run, now, retainUntil: undefined });
  return settlements;
}

/** Of groups that the learner is in now: who was a member at other times has lost nothing by it. */
function lostEndings(
  { option, groups }: NonNullable<BatchDoc['lost']>,
  memberships: readonly Membership[],
  now: Date,
): Ending[] {
  const mine = new Set(memberships.filter((one) => isValid(one, now)).map(({ group }) => group));
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
