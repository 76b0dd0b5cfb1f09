import { isDeepStrictEqual } from 'node:util';
import { UsageError } from '../domain/errors.ts';
import type { GroupId, RunId } from '../domain/ids.ts';
import type { Group, GroupChange, Structure } from '../domain/structure.ts';
import { memberIds } from '../store/learners.ts';
import type { RunDoc } from '../store/models.ts';
import { readRun } from '../store/runs.ts';
import type { Services } from '../store/services.ts';
import type { StructureDetail } from './history.ts';
import type { Problem } from './outcome.ts';
import { attemptOf } from './start.ts';
import { changeStructure } from './structureChange.ts';
import { keyOf } from './views/key.ts';

/** Batches of grants and purged results that an undo puts back, written under the number of the run that will own them. */
export interface PlannedRestores {
  readonly run: RunId;
  readonly batches: number;
  readonly problems: readonly Problem[];
}

/**
 * Turns a change of structure back, as far as the groups are still what it made of them (R25). Purged results are put
 * back also where the groups are not; direct grants of `keep` stay where no group gives the course again.
 */
export async function undoStructure(
  services: Services,
  { run, by, restores }: { run: RunDoc; by: string; restores: PlannedRestores },
): Promise<RunDoc> {
  const { store } = services;
  const planned = attemptOf({ _id: restores.run, attempt: 1 });
  const entry = await store.audit.findOne({ _id: { run: run._id, batch: 0, step: 'structure' } });
  const steps = (entry?.detail ?? []) as StructureDetail;
  const filled = new Set<GroupId>();
  for (const { before, after } of steps) {
    if (!before && after && (await memberIds(store, [after.id])).length > 0) filled.add(after.id);
  }
  const purged = await store.batches.findOne({ _id: planned, 'restores.purged.0': { $exists: true } } as never);
  const plan = (now: Structure) => planUndo(steps, now, filled);
  const groups = (now: Structure) => {
    const { changes, overtaken } = plan(now);
    if (changes.length === 0 && !purged) throw nothingLeft(run, overtaken);
    return changes;
  };
  const problems = (now: Structure) => [...plan(now).overtaken, ...restores.problems];
  const undo = { run: restores.run, undoes: run._id, batches: restores.batches, problems };
  try {
    await changeStructure(services, { by, why: `undo ${run._id}`, groups, undo, option: 'expire' });
  } catch (error) {
    if (!(await readRun(store, restores.run))) await store.batches.deleteMany({ _id: planned });
    throw error;
  }
  return (await readRun(store, restores.run)) as RunDoc;
}

/** Groups that the refusal names. */
const NAMED = 5;

function nothingLeft({ _id }: RunDoc, overtaken: readonly Problem[]): UsageError {
  const why = overtaken.slice(0, NAMED).map(({ message }) => ` ${message}`);
  return new UsageError(
    `The groups are not what run ${_id} made of them, so nothing of it can be turned back; nothing was changed.${why.join('')}`,
  );
}

interface Undo {
  readonly changes: readonly GroupChange[];
  readonly overtaken: readonly Problem[];
}

/** What leads back without breaking the tree, and what newer changes have overtaken. `filled`: groups with members. */
function planUndo(steps: StructureDetail, now: Structure, filled: ReadonlySet<GroupId>): Undo {
  const overtaken: Problem[] = [];
  let changes: GroupChange[] = [];
  for (const { before, after } of steps) {
    const { id } = (after ?? before) as Group;
    const live = now.group(id) ?? null;
    if (isDeepStrictEqual(live, before)) continue;
    if (isDeepStrictEqual(live, after)) changes.push({ id, after: before });
    else overtaken.push(stays(id, now, after ?? before, 'it was changed since'));
  }
  for (let before = Number.POSITIVE_INFINITY; changes.length < before; ) {
    before = changes.length;
    const result = now.with(changes);
    changes = changes.filter(({ id, after }) => {
      const why = after ? whyNotBack(after, now, result) : whyNotGone(id, result, filled);
      if (why !== undefined) overtaken.push(stays(id, now, after, why));
      return why === undefined;
    });
  }
  return { changes, overtaken };
}

function whyNotBack({ id, parent, externalId }: Group, now: Structure, result: Structure): string | undefined {
  if (parent !== undefined && !result.group(parent)) return 'the group that it lay in is there no more';
  if (parent !== undefined && result.wouldCircle(id, parent)) return 'it would lie in a circle';
  const holder = externalId === undefined ? undefined : now.byExternalId(externalId);
  return holder && holder.id !== id ? 'another group has its External ID by now' : undefined;
}

function whyNotGone(id: GroupId, result: Structure, filled: ReadonlySet<GroupId>): string | undefined {
  if (filled.has(id)) return 'it has members by now';
  return result.children(id).length > 0 ? 'other groups lie in it by now' : undefined;
}

function stays(id: GroupId, now: Structure, then: Group | null, why: string): Problem {
  const message = `Group ${keyOf(now.group(id) ?? then ?? { id })} stays as it is: ${why}.`;
  return { row: null, code: 'overtaken', message, count: 1 };
}
