import type { LearnerId, RunId } from '../domain/ids.ts';
import { isWorking } from '../domain/run.ts';
import { renumbered } from '../feed/rows/table.ts';
import { readFeedDoc, settingsOf } from '../store/feeds.ts';
import type { RunDoc } from '../store/models.ts';
import { hasWork, ofRun } from '../store/outbox.ts';
import { moveRun, readRun } from '../store/runs.ts';
import type { Services } from '../store/services.ts';
import { supersedeSetAside, withdrawSetAside } from '../store/setAside.ts';
import { type Session, within } from '../store/store.ts';
import { attemptOfTable, dropTable, FORMAT, partsOf, runOfTable } from '../store/tables.ts';
import { dropEmptiedGroups } from './emptiedGroups.ts';
import { NO_SUBSCRIPTIONS, type Outcome, type SubscriptionCounts, seenBy } from './outcome.ts';

/**
 * Takes a run as far as its outbox allows: `applying → reconciling` when no batch waits to be applied, `→ completed`
 * when none waits at all. Called after every batch and by the relay; any number of callers is harmless.
 */
export async function advanceRun(services: Services, id: RunId): Promise<void> {
  const { store, clock } = services;
  // After nearly every batch there is more, and the run need not be read. Asked again below, since it may begin between.
  if (await hasWork(store, id, 'apply')) return;
  let run = await readRun(store, id);
  if (run?.spread || run?.keeping) return;
  if (run?.state === 'applying' && !(await hasWork(store, id, 'apply'))) {
    const stages = [...run.stages, { name: 'apply', ms: elapsed(run, 'applying', clock.now()) }];
    await moveRun(store, run, 'reconciling', { by: 'worker', at: clock.now(), set: { stages } });
    run = await readRun(store, id);
  }
  if (run?.state === 'reconciling' && !(await hasWork(store, id))) await finishRun(services, run);
}

function elapsed(run: RunDoc, since: RunDoc['state'], now: Date): number {
  const at = run.history.findLast(({ state }) => state === since)?.at;
  return at ? now.getTime() - at.getTime() : 0;
}

/**
 * Ends a run: sums up what was done, and for a feed moves its pointer to what was applied, in one transaction.
 * The state read is the fence.
 */
export async function finishRun(services: Services, run: RunDoc): Promise<boolean> {
  const { store, clock } = services;
  const outcome = run.outcome as Outcome | undefined;
  const subscriptions = await countEvents(services, run._id);
  const instead = await numbersInstead(services, run._id);
  if (outcome?.applied && instead.size > 0) await renumberTable(services, outcome.applied.table, instead);
  const now = clock.now();
  const moved = await store.transaction(async (session) => {
    const stage = run.state === 'reconciling' ? [{ name: 'reconcile', ms: elapsed(run, 'reconciling', now) }] : [];
    const done = await moveRun(store, run, run.error ? 'failed' : 'completed', {
      by: 'worker',
      at: now,
      set: {
        finishedAt: now,
        stages: [...run.stages, ...stage],
        ...(outcome
          ? { outcome: { ...outcome, subscriptions } }
          : { report: { ...(run.report as object | undefined), subscriptions } }),
      },
      unset: ['working', 'lease'],
      session,
    });
    if (done && outcome && run.kind === 'undo') {
      // An undo that found nothing to turn back was never started.
      if (run.undoes) await withdrawSetAside(store, run.undoes, session);
      await dropEmptiedGroups(services, session, run, outcome.emptied ?? []);
    }
    if (!done || !outcome || run.kind !== 'feed' || run.feed === null) return done;
    if (run.mode === 'full') await supersedeSetAside(store, run, outcome.readAt, session);
    else await store.setAside.deleteMany({ _id: { $in: [...(outcome.supersedes ?? [])] } }, { session });
    const { learners, memberships } = outcome.held;
    await store.feeds.updateOne(
      { _id: run.feed },
      {
        $set: { applied: { ...outcome.applied, run: run._id, at: now }, 'held.learners': learners },
        $inc: { revision: 1, 'held.memberships': memberships },
      },
      { session },
    );
    return done;
  });
  if (moved && outcome && run.kind === 'feed' && run.feed !== null) await tidy(services, run.feed, outcome);
  return moved;
}

/** Sums up a run once more, that has ended: this transaction does a set-aside operation of it. */
export async function recount(services: Services, id: RunId, session: Session): Promise<void> {
  const { store } = services;
  const run = await store.runs.findOne({ _id: id }, { session });
  if (run?.state !== 'completed') return;
  const figures = run.outcome ? 'outcome.subscriptions' : 'report.subscriptions';
  const subscriptions = await countEvents(services, id, session);
  await store.runs.updateOne({ _id: id }, { $set: { [figures]: subscriptions } }, { session });
}

/** What the run's settlements did, from the audit. */
export async function countEvents(
  { store }: Pick<Services, 'store'>,
  run: RunId,
  session?: Session,
): Promise<SubscriptionCounts> {
  const sum: SubscriptionCounts = { ...NO_SUBSCRIPTIONS };
  const audits = store.audit.find(ofRun(run), { projection: { counts: 1 }, ...within(session) });
  for await (const { counts } of audits) {
    for (const key of Object.keys(sum) as (keyof SubscriptionCounts)[]) sum[key] += counts[key] ?? 0;
  }
  return sum;
}

async function numbersInstead({ store }: Services, run: RunId): Promise<Map<LearnerId, LearnerId>> {
  const audits = await store.audit
    .find({ ...ofRun(run), instead: { $exists: true } }, { projection: { instead: 1 } })
    .toArray();
  return new Map(audits.flatMap((doc) => doc.instead ?? []));
}

/** Learners that another source created between plan and application: the packed table must name the real ones. */
async function renumberTable(
  { store }: Services,
  table: string,
  instead: ReadonlyMap<LearnerId, LearnerId>,
): Promise<void> {
  const parts = { _id: partsOf(table), format: FORMAT };
  for await (const { _id, bytes } of store.tables.find(parts, { promoteBuffers: true })) {
    await store.tables.updateOne({ _id }, { $set: { bytes: renumbered(bytes, instead) } });
  }
}

async function tidy(services: Services, feed: string, outcome: Outcome): Promise<void> {
  const { store } = services;
  await dropTables(services, feed);
  const seen = seenBy(outcome);
  await store.feeds.updateOne({ _id: feed }, { $pull: { lookAgain: { at: { $lte: seen } } } });
  const doc = await readFeedDoc(store, feed);
  // With shared authority a change by hand stays until the feed has news of the learner (R21): so does its mark.
  if (doc && settingsOf(doc).authority === 'shared') return;
  const left = {
    $filter: {
      input: '$lookAgain',
      cond: { $not: { $and: [{ $eq: ['$$this.feed', feed] }, { $lte: ['$$this.at', seen] }] } },
    },
  };
  await store.learners.updateMany({ 'lookAgain.feed': feed }, [
    { $set: { lookAgain: left } },
    { $set: { lookAgain: { $cond: [{ $eq: ['$lookAgain', []] }, '$$REMOVE', '$lookAgain'] } } },
  ]);
}

/**
 * Drops the packed tables that no run needs any more: last night's of this feed, or, without one, all those too that
 * killed and refused runs left.
 */
export async function dropTables({ store }: Pick<Services, 'store'>, feed?: string): Promise<void> {
  const names = new Set<string>();
  const parts = store.tables.find({}, { projection: { _id: 1 }, hint: { _id: 1 } });
  for await (const { _id } of parts) names.add(_id.table);
  const filter = { _id: { $in: [...names].map(runOfTable) }, ...(feed !== undefined && { feed }) };
  const runs = await store.runs.find(filter, { projection: { state: 1, attempt: 1 } }).toArray();
  const known = new Map(runs.map((run) => [run._id, run]));
  // Read last: a run that ended meanwhile has made its table the feed's.
  const feeds = await store.feeds.find({}, { projection: { 'applied.table': 1 } }).toArray();
  const applied = new Set(feeds.map((one) => one.applied?.table));
  for (const table of names) {
    const run = known.get(runOfTable(table));
    if (!run || applied.has(table) || isInUse(run, attemptOfTable(table))) continue;
    await dropTable(store, table);
  }
}

/** Of a held run also what a person's approval of a part is writing just now. */
function isInUse({ state, attempt }: Pick<RunDoc, 'state' | 'attempt'>, of: number): boolean {
  return isWorking(state) ? of === attempt : state === 'held' && of >= attempt;
}
