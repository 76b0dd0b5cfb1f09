import { isDeepStrictEqual } from 'node:util';
import { UsageError } from '../domain/errors.ts';
import type { GroupId } from '../domain/ids.ts';
import type { Group, GroupChange, Structure } from '../domain/structure.ts';
import { memberIds } from '../store/learners.ts';
import type { RunDoc } from '../store/models.ts';
import type { Services } from '../store/services.ts';
import type { StructureDetail } from './history.ts';
import type { Problem } from './outcome.ts';
import { changeStructure } from './structureChange.ts';
import { keyOf } from './views/key.ts';

/** Turns a change of structure back, as far as the groups are still what it made of them (R25). */
export async function undoStructure(services: Services, { run, by }: { run: RunDoc; by: string }): Promise<RunDoc> {
  const { store } = services;
  const entry = await store.audit.findOne({ _id: { run: run._id, batch: 0, step: 'structure' } });
  const steps = (entry?.detail ?? []) as StructureDetail;
  const filled = new Set<GroupId>();
  for (const { before, after } of steps) {
    if (!before && after && (await memberIds(store, [after.id])).length > 0) filled.add(after.id);
  }
  const plan = (now: Structure) => planUndo(steps, now, filled);
  const groups = (now: Structure) => {
    const { changes, overtaken } = plan(now);
    if (changes.length === 0) throw nothingLeft(run, overtaken);
    return changes;
  };
  const overtaken = (now: Structure) => plan(now).overtaken;
  const result = await changeStructure(services, { by, why: `undo ${run._id}`, groups, overtaken, option: 'expire' });
  await store.runs.updateOne({ _id: result.run }, { $set: { undoes: run._id } });
  return (await store.runs.findOne({ _id: result.run })) as RunDoc;
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
