import { hostname } from 'node:os';
import { NotFound, NotNow, UsageError } from '../domain/errors.ts';
import type { RunId } from '../domain/ids.ts';
import type { PlanPart } from '../domain/planPart.ts';
import { sha256Of, sourceFile } from '../feed/sources/file.ts';
import { recordDecision } from '../store/auditChain.ts';
import { isDuplicateKey } from '../store/failures.ts';
import { readFeedDoc } from '../store/feeds.ts';
import { learnersByExternalId, learnersById } from '../store/learners.ts';
import type { RunDoc } from '../store/models.ts';
import { ofRun } from '../store/outbox.ts';
import { moveRun, readRun } from '../store/runs.ts';
import type { Services } from '../store/services.ts';
import type { Store } from '../store/store.ts';
import { readStructure } from '../store/structure.ts';
import { dropTable } from '../store/tables.ts';
import { finishRun } from './advance.ts';
import { executeRun } from './execute.ts';
import type { Outcome } from './outcome.ts';
import { dropReduced, reducePlan } from './reducePlan.ts';
import { requestRun } from './request.ts';
import { attemptOf, type ReducedPlan, startApplying } from './start.ts';
import { undoRun } from './undo.ts';

/** A held plan whose facts have moved on since it was made and shown (R30). */
export class StalePlan extends UsageError {
  override readonly code = 'stale-plan';
}

/**
 * Approves a held run: its plan is applied as it was shown; a stale one is planned again, and the new run is the answer
 * (R30). Of a part, what was left out of the old plan would be in the new one: a stale one is refused.
 * @throws {StalePlan} where it is not planned again.
 */
export async function approveOrPlanAgain(services: Services, id: RunId, by: string, part?: PlanPart): Promise<RunDoc> {
  try {
    return await approveRun(services, id, by, part);
  } catch (error) {
    const again = error instanceof StalePlan && !part ? await planAgain(services, id, by) : undefined;
    if (!again) throw error;
    return again;
  }
}

/**
 * Approves a held run, whole or a part of it: its plan is applied as it was shown (R30). Refused where the run is not
 * held any more. @throws {StalePlan} where what it was made from has changed: `planAgain` makes it anew.
 */
export async function approveRun(services: Services, id: RunId, by: string, part?: PlanPart): Promise<RunDoc> {
  const run = await heldRun(services, id, 'approved');
  await refuseStale(services, run);
  const reduced = part && (await reducePlan(services, run, part));
  if (part && !reduced) await heldRun(services, id, 'approved');
  if (!(await applyHeld(services, run, by, reduced))) {
    if (reduced) await dropReduced(services.store, run, reduced);
    await heldRun(services, id, 'approved');
  }
  return (await readRun(services.store, id)) as RunDoc;
}

async function applyHeld(services: Services, run: RunDoc, by: string, reduced?: ReducedPlan): Promise<boolean> {
  const { store, clock } = services;
  const { noChange, approved } = reduced?.outcome ?? (run.outcome as Outcome);
  const note = approved
    ? `approved ${approved.part}: ${approved.changes} changes, ${approved.takenOut} left out`
    : 'approved';
  try {
    if (!(await startApplying(services, run, by, note, reduced))) return false;
  } catch (error) {
    if (reduced) await dropReduced(store, run, reduced);
    if (!isDuplicateKey(error)) throw error;
    throw new NotNow(
      `Another run of feed ${run.feed} is at work; nothing was changed. Approve run ${run._id} when it has ended.`,
    );
  }
  const shown = (run.outcome as Outcome).applied?.table;
  if (reduced && shown && shown !== reduced.outcome.applied.table) await dropTable(store, shown);
  if (!noChange) return true;
  // Nothing to apply but what the feed was last seen to say.
  const applying = (await readRun(store, run._id)) as RunDoc;
  await moveRun(store, applying, 'reconciling', { by, at: clock.now() });
  return finishRun(services, (await readRun(store, run._id)) as RunDoc);
}

/**
 * Makes, shows and guards a stale plan anew, as a new run that takes its place; undefined where the bytes that it was
 * made from are not there any more (R30).
 */
export async function planAgain(services: Services, id: RunId, by: string): Promise<RunDoc | undefined> {
  const run = await heldRun(services, id, 'planned again');
  if (run.kind === 'undo' && run.undoes) return undoRun(services, { run: run.undoes, by });
  const { path, host, name, sha256, temporary } = run.source;
  if (path === undefined || (host !== undefined && host !== hostname())) return undefined;
  const file = await sourceFile(path).catch(() => undefined);
  if (!file || (await sha256Of(file)) !== sha256) return undefined;
  const source = { name, path, bytes: file.bytes, shared: host === undefined, ...(temporary && { temporary }) };
  const { feed, mode, settings } = run;
  const as = { feed: feed as string, mode, preview: false, approve: false, by, source };
  const again = await requestRun(services, { ...as, ...(settings !== undefined && { settings }) });
  return executeRun(services, again, file);
}

/** Rejects a held run: nothing of it is applied. */
export async function rejectRun(services: Services, id: RunId, by: string, reason?: string): Promise<RunDoc> {
  const run = await heldRun(services, id, 'rejected');
  const now = services.clock.now();
  const note = reason ? { note: reason } : {};
  const moved = await services.store.transaction(async (session) => {
    const set = { finishedAt: now };
    if (!(await moveRun(services.store, run, 'rejected', { by, at: now, ...note, set, session }))) return false;
    const decision = { run: id, step: 'rejected' as const, by, why: reason ?? 'rejected', at: now };
    await recordDecision(services.store, session, decision);
    return true;
  });
  if (!moved) await heldRun(services, id, 'rejected');
  return (await readRun(services.store, id)) as RunDoc;
}

/** Cancels a run that has not begun to apply. */
export async function cancelRun({ store, clock }: Services, id: RunId, by: string): Promise<RunDoc> {
  const run = await existing(store, id);
  const now = clock.now();
  const moved = await store.transaction(async (session) => {
    const unset = ['working', 'lease'] as const;
    const move = { by, at: now, set: { finishedAt: now }, unset: [...unset], session };
    if (!(await moveRun(store, run, 'cancelled', move))) return false;
    await recordDecision(store, session, { run: id, step: 'cancelled', by, why: 'cancelled', at: now });
    return true;
  });
  if (!moved) {
    throw new UsageError(
      `Run ${id} is ${run.state} and cannot be cancelled any more; nothing was changed. A run that is being applied goes on to its end.`,
    );
  }
  return (await readRun(store, id)) as RunDoc;
}

async function existing(store: Store, id: RunId): Promise<RunDoc> {
  const run = await readRun(store, id);
  if (!run) throw new NotFound(`There is no run ${id}. \`muster runs list\` lists them.`);
  return run;
}

async function heldRun({ store }: Services, id: RunId, what: string): Promise<RunDoc> {
  const run = await existing(store, id);
  if (run.state === 'held') return run;
  const by = run.history.findLast(({ state }) => state === run.state)?.by;
  const why = run.state === 'superseded' ? `was superseded by run ${by}` : `is ${run.state}`;
  throw new UsageError(`Run ${id} ${why}, not held, so it cannot be ${what}; nothing was changed.`);
}

/**
 * Throws where the feed, the External IDs of groups, or a learner whom the plan changes or creates, is not as it was when
 * the plan was made (R30).
 */
async function refuseStale({ store }: Services, run: RunDoc): Promise<void> {
  const again = staleRemedy(run);
  if (run.kind === 'feed') await refuseStaleFeed(store, run, again);
  if (run.undoes) await refuseRetried(store, run, run.undoes, again);
  for await (const { changes } of store.batches.find({ _id: attemptOf(run) })) {
    const live = await learnersById(
      store,
      changes.map(({ learner }) => learner),
    );
    const made = await learnersByExternalId(
      store,
      changes.flatMap(({ create }) => create?.externalId ?? []),
    );
    const moved =
      made.size + changes.filter(({ learner, revision }) => (live.get(learner)?.revision ?? 0) !== revision).length;
    if (moved > 0) {
      throw new StalePlan(
        `${moved} of the learners whom run ${run._id} changes were changed or made after its plan was made. ${again}`,
      );
    }
  }
}

/** What the undone run had set aside, and has come about since, is not in the plan. */
async function refuseRetried(store: Store, run: RunDoc, undone: RunId, again: string): Promise<void> {
  const since = { at: { $gte: run.createdAt }, '_id.step': /^retry-/ };
  if (await store.audit.findOne({ ...ofRun(undone), ...since } as never)) {
    throw new StalePlan(
      `An operation that run ${undone} had set aside was done after the plan of run ${run._id} was made. ${again}`,
    );
  }
}

function staleRemedy({ kind, undoes }: RunDoc): string {
  return kind === 'undo'
    ? `Nothing was changed. Undo run ${undoes} again: that plans, guards and shows anew.`
    : 'Nothing was changed. Run the feed again: it plans, guards and shows anew.';
}

async function refuseStaleFeed(store: Store, run: RunDoc, again: string): Promise<void> {
  const outcome = run.outcome as Outcome;
  const feed = run.feed === null ? null : await readFeedDoc(store, run.feed);
  if (!feed || feed.revision !== outcome.feedRevision) {
    throw new StalePlan(`Feed ${run.feed} was applied or removed after the plan of run ${run._id} was made. ${again}`);
  }
  const { keysRevision } = await readStructure(store);
  if (outcome.applied.keys !== keysRevision + (outcome.newGroups.length > 0 ? 1 : 0)) {
    throw new StalePlan(
      `Groups came, went or changed their External ID after the plan of run ${run._id} was made. ${again}`,
    );
  }
}
