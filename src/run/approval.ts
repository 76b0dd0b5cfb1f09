import { NotFound, UsageError } from '../domain/errors.ts';
import type { RunId } from '../domain/ids.ts';
import { isDuplicateKey } from '../store/failures.ts';
import { readFeedDoc } from '../store/feeds.ts';
import { learnersById } from '../store/learners.ts';
import type { RunDoc } from '../store/models.ts';
import { moveRun, readRun } from '../store/runs.ts';
import type { Services } from '../store/services.ts';
import type { Store } from '../store/store.ts';
import { readStructure } from '../store/structure.ts';
import { finishRun } from './advance.ts';
import type { Outcome } from './outcome.ts';
import { attemptOf, startApplying } from './start.ts';

/** A held plan whose facts have moved on since it was made and shown (R30). */
export class StalePlan extends UsageError {
  override readonly code = 'stale-plan';
}

/**
 * Approves a held run: its plan is applied as it was shown (R30). Refused where the run is not held any more, or where
 * what it was made from has changed: then the feed is to be run again, which plans, guards and shows anew.
 */
export async function approveRun(services: Services, id: RunId, by: string): Promise<RunDoc> {
  const run = await heldRun(services, id, 'approved');
  await refuseStale(services, run);
  try {
    const outcome = run.outcome as Outcome;
    const moved = outcome.noChange
      ? await finishNothing(services, run, by)
      : await startApplying(services, run, by, 'approved');
    if (!moved) await heldRun(services, id, 'approved');
  } catch (error) {
    if (!isDuplicateKey(error)) throw error;
    throw new UsageError(
      `Another run of feed ${run.feed} is at work; nothing was changed. Approve run ${id} when it has ended.`,
    );
  }
  return (await readRun(services.store, id)) as RunDoc;
}

/** A held plan that changes nothing but what the feed was last seen to say (rejected rows alone held it). */
async function finishNothing(services: Services, run: RunDoc, by: string): Promise<boolean> {
  if (!(await startApplying(services, run, by, 'approved'))) return false;
  const applying = (await readRun(services.store, run._id)) as RunDoc;
  await moveRun(services.store, applying, 'reconciling', { by, at: services.clock.now() });
  return finishRun(services, (await readRun(services.store, run._id)) as RunDoc);
}

/** Rejects a held run: nothing of it is applied. */
export async function rejectRun(services: Services, id: RunId, by: string, reason?: string): Promise<RunDoc> {
  const run = await heldRun(services, id, 'rejected');
  const now = services.clock.now();
  const moved = await moveRun(services.store, run, 'rejected', {
    by,
    at: now,
    ...(reason && { note: reason }),
    set: { finishedAt: now },
  });
  if (!moved) await heldRun(services, id, 'rejected');
  return (await readRun(services.store, id)) as RunDoc;
}

/** Cancels a run that has not begun to apply. */
export async function cancelRun({ store, clock }: Services, id: RunId, by: string): Promise<RunDoc> {
  const run = await existing(store, id);
  const now = clock.now();
  const moved = await moveRun(store, run, 'cancelled', {
    by,
    at: now,
    set: { finishedAt: now },
    unset: ['working', 'lease'],
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

/** Throws where the feed, the External IDs of groups, or a learner whom the plan changes, is not as it was when the plan was made (R30). */
async function refuseStale({ store }: Services, run: RunDoc): Promise<void> {
  const again = staleRemedy(run);
  if (run.kind === 'feed') await refuseStaleFeed(store, run, again);
  for await (const { changes } of store.batches.find({ _id: attemptOf(run) })) {
    const live = await learnersById(
      store,
      changes.map(({ learner }) => learner),
    );
    const moved = changes.filter(({ learner, revision }) => (live.get(learner)?.revision ?? 0) !== revision).length;
    if (moved > 0) {
      throw new StalePlan(
        `${moved} of the learners whom run ${run._id} changes were changed after its plan was made. ${again}`,
      );
    }
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
