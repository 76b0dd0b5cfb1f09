import type { RemovalOption } from '../domain/change.ts';
import { ChangedMeanwhile, NotFound, NotNow, UsageError } from '../domain/errors.ts';
import type { CourseId, ExternalId, GroupId, LearnerId, RunId } from '../domain/ids.ts';
import { lostCourses, type SettleKind } from '../domain/settle.ts';
import type { Group, GroupChange, Structure } from '../domain/structure.ts';
import { recordAudit } from '../store/auditChain.ts';
import { newRunId, reserve } from '../store/counters.ts';
import { isDuplicateKey } from '../store/failures.ts';
import { memberIds } from '../store/learners.ts';
import type { BatchDoc, CourseDoc, GroupDoc, OutboxDoc, RunDoc } from '../store/models.ts';
import { readRun } from '../store/runs.ts';
import type { Services } from '../store/services.ts';
import { type Session, type Store, within } from '../store/store.ts';
import { bumpStructure, type KeyChange, readStructure, toCourse, toGroup } from '../store/structure.ts';
import { madeSubenvironments } from '../store/subenvironments.ts';
import { chunks } from './chunks.ts';
import { insertKept, keepBeforehand, StructureMoved, takeBackKept } from './keepBeforehand.ts';
import { blankRun, drainRun, eventsOf, type ManualResult } from './manual.ts';
import { removeMembers } from './memberships.ts';
import type { Problem } from './outcome.ts';
import { BATCH_SIZE } from './planWriter.ts';
import { attemptOf, waiting } from './start.ts';
import { refuseUnfitId } from './unfitIds.ts';

interface StructureOrder {
  readonly by: string;
  /** Refused where the first of the groups is stored in another revision than this. */
  readonly revision?: number | undefined;
}

interface StructureChange extends StructureOrder {
  readonly why: string;
  /** Groups as they shall be, from the groups as they are; null = the group goes. */
  readonly groups: (now: Structure) => readonly GroupChange[];
  readonly option: RemovalOption;
  readonly undo?: StructureUndo;
}

/** The run that a change of structure turns back, and what goes back with the groups. */
interface StructureUndo {
  /** The number of the run to be, under which batches have been written. */
  readonly run: RunId;
  readonly undoes: RunId;
  readonly batches: number;
  /** What stays as it is. */
  readonly problems: (now: Structure) => readonly Problem[];
}

/** Somebody was put into a group that was to be deleted. */
class LearnerJoined extends NotNow {
  constructor() {
    super('A learner joined the group a moment ago; it was not deleted. Try again.');
  }
}

/** A change of structure changes no membership. */
const NO_MEMBERSHIPS = { added: 0, removed: 0, changed: 0, unchanged: 0 };

/** How often a change is made again where others change groups at the same time. */
const TRIES = 50;

/**
 * Changes groups and links, and settles everybody whom that may concern (R10). The structure changes in one
 * transaction; its members follow in batches, which a worker goes on with where this process is killed. `keep` grants
 * beforehand what would be lost, so that at no moment anything is.
 */
export async function changeStructure(services: Services, change: StructureChange): Promise<ManualResult> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await changeOnce(services, change);
    } catch (error) {
      if (!(error instanceof StructureMoved) || tries === TRIES) throw error;
    }
  }
}

async function changeOnce(services: Services, change: StructureChange): Promise<ManualResult> {
  const { store, clock } = services;
  const before = await readStructure(store);
  const changed = change.groups(before);
  const after = before.with(changed);
  const concerned = [...new Set(changed.flatMap(({ id }) => before.below(id)))];
  const lost = lostCourses(before, after, concerned);
  const gains = concerned.some((id) => after.courses(id).some((course) => !before.courses(id).includes(course)));
  const settle: SettleKind | null =
    lost.size > 0 ? (change.option === 'purge' ? 'purge' : 'expire') : gains ? 'subscribe' : null;
  const groups = [...lost].map(([group, courses]) => ({ group, courses }));
  const { undo } = change;
  const run: RunDoc = {
    ...blankRun(undo?.run ?? (await newRunId(store)), 'structure', change.by, change.why, clock.now()),
    attempt: 1,
    batches: undo?.batches ?? 0,
    report: { memberships: NO_MEMBERSHIPS, problems: undo?.problems(before) ?? [] },
    ...(undo && { undoes: undo.undoes }),
    ...(settle && {
      spread: { groups: concerned, settle, ...(groups.length > 0 && { lost: { option: change.option, groups } }) },
    }),
  };
  const keeps = change.option === 'keep' && run.spread?.lost !== undefined;
  const planned = undo ? await plannedSettlements(services, run) : [];
  const revisions = { at: before.revision, first: change.revision };
  if (keeps) await refuseChanged(store, changed, revisions.first);
  try {
    if (keeps) await keepBeforehand(services, run, after);
    await store.transaction(async (session) => {
      if (keeps) await insertKept(store, session, run);
      else await store.runs.insertOne(run, { session });
      if (changed.length > 0) await writeGroups(services, session, run, changed, revisions);
      if (planned.length > 0) await store.outbox.insertMany(planned, { session });
    });
  } catch (error) {
    if (keeps) await takeBackKept(services, run._id);
    if (keeps) await drainRun(services, run._id);
    throw error;
  }
  await spreadStructure(services, run);
  await drainRun(services, run._id);
  const events = await eventsOf(store, run._id);
  const { added, removed } = NO_MEMBERSHIPS;
  return { run: run._id, memberships: { added, removed }, ...events, setAside: 0 };
}

/** The outbox entries of batches that were written before the run. */
async function plannedSettlements({ store, clock }: Services, run: RunDoc): Promise<OutboxDoc[]> {
  const now = clock.now();
  const batches = await store.batches.find({ _id: attemptOf(run) }, { projection: { settle: 1 } }).toArray();
  return batches.flatMap(({ _id, settle }) => (settle ? [waiting(_id, settle, now)] : []));
}

/** @throws {ChangedMeanwhile} where the first of the groups is stored in another revision. */
async function refuseChanged(
  store: Store,
  [first]: readonly GroupChange[],
  revision: number | undefined,
  session?: Session,
): Promise<void> {
  if (revision === undefined || !first) return;
  const group = await store.groups.findOne({ _id: first.id, revision }, { ...within(session), projection: { _id: 1 } });
  if (!group) throw new ChangedMeanwhile('group');
}

async function writeGroups(
  { store, clock }: Services,
  session: Session,
  run: RunDoc,
  groups: readonly GroupChange[],
  revisions: { readonly at: number; readonly first: number | undefined },
): Promise<void> {
  if ((await readStructure(store, session)).revision !== revisions.at) throw new StructureMoved();
  const ids = groups.map(({ id }) => id);
  const stored = await store.groups.find({ _id: { $in: ids } }, { session }).toArray();
  const before = new Map(stored.map((doc) => [doc._id, doc]));
  await refuseChanged(store, groups, revisions.first, session);
  const renamed = groups.filter(({ id, after }) => before.get(id)?.externalId !== after?.externalId);
  const gone = renamed.some(({ id }) => before.get(id)?.externalId !== undefined);
  const keys: KeyChange = renamed.length === 0 ? 'none' : gone ? 'gone' : 'came';
  for (const { id, after } of groups) {
    const old = before.get(id);
    if (!after) {
      const member = await store.learners.findOne({ 'memberships.group': id }, { session, projection: { _id: 1 } });
      if (member) throw new LearnerJoined();
      await store.groups.deleteOne({ _id: id }, { session });
      continue;
    }
    const { id: _, ...rest } = after;
    const doc: GroupDoc = { _id: id, ...rest, revision: (old?.revision ?? 0) + 1 };
    if (old) await store.groups.replaceOne({ _id: id, revision: old.revision }, doc, { session });
    else await store.groups.insertOne(doc, { session });
  }
  await bumpStructure(store, session, { keys });
  const detail = groups.map(({ id, after }) => {
    const old = before.get(id);
    return { before: old ? toGroup(old) : null, after };
  });
  const { by, source } = run;
  const at = clock.now();
  await store.audit.insertOne(
    {
      _id: { run: run._id, batch: 0, step: 'structure' },
      at,
      by,
      why: source.name,
      learners: [],
      groups: ids,
      detail,
      counts: {},
    },
    { session },
  );
}

/**
 * Writes the batches of members whom a change of structure concerns; until then the run is not at its end. Twice, and
 * from several processes at once, is harmless: all cut at the same learners. Who joins or leaves meanwhile is settled by that.
 */
export async function spreadStructure({ store, clock }: Services, run: RunDoc): Promise<void> {
  const { batches = 0 } = run;
  if (!run.spread) return;
  const { groups, settle, lost } = run.spread;
  const ids = await memberIds(store, groups);
  const firsts = await firstsOfBatches(store, run, ids);
  if (!firsts) return;
  const now = clock.now();
  const docs: BatchDoc[] = cutAt(firsts, ids).map((learners, at) => ({
    _id: { run: run._id, batch: 1_000_001 + batches + at },
    settle,
    creates: false,
    changes: [],
    learners,
    ...(lost && { lost }),
  }));
  for (const some of chunks(docs, 50)) {
    await store.batches.bulkWrite(
      some.map(({ _id, ...doc }) => ({ updateOne: { filter: { _id }, update: { $setOnInsert: doc }, upsert: true } })),
      { ordered: false },
    );
  }
  await store.transaction(async (session) => {
    const { modifiedCount } = await store.runs.updateOne(
      { _id: run._id, spread: { $exists: true } },
      { $unset: { spread: '' }, $inc: { batches: docs.length } },
      { session },
    );
    if (modifiedCount === 0 || docs.length === 0) return;
    await store.outbox.insertMany(
      docs.map(({ _id }) => waiting(_id, settle, now)),
      { session },
    );
  });
}

/** The first learner of each batch, as whoever came first has put it down; undefined: the batches are written already. */
async function firstsOfBatches(
  store: Store,
  { _id }: RunDoc,
  ids: readonly LearnerId[],
): Promise<LearnerId[] | undefined> {
  const firsts = ids.filter((_, at) => at % BATCH_SIZE === 0);
  const uncut = { _id, spread: { $exists: true }, 'spread.firsts': { $exists: false } };
  await store.runs.updateOne(uncut, { $set: { 'spread.firsts': firsts } });
  return (await readRun(store, _id))?.spread?.firsts;
}

/** `ids` in ascending order, a batch for each of `firsts`, also where nobody is left in it. */
function cutAt(firsts: readonly LearnerId[], ids: readonly LearnerId[]): LearnerId[][] {
  const batches: LearnerId[][] = firsts.map(() => []);
  let at = -1;
  for (const id of ids) {
    while (id >= (firsts[at + 1] ?? Number.POSITIVE_INFINITY)) at += 1;
    batches[at]?.push(id);
  }
  return batches;
}

function groupIn(structure: Structure, id: GroupId): Group {
  const group = structure.group(id);
  if (!group) throw new NotFound(`There is no group id:${id}; nothing was changed.`);
  return group;
}

function refuseTaken(structure: Structure, externalId: ExternalId, own?: GroupId): void {
  refuseUnfitId(externalId);
  const holder = structure.byExternalId(externalId);
  if (holder && holder.id !== own) throw new UsageError(`Group ${externalId} exists already; nothing was changed.`);
}

export interface NewGroup {
  readonly name: string;
  readonly externalId?: ExternalId;
  readonly parent?: GroupId;
  readonly instructors?: readonly string[];
  readonly subenvironments?: readonly string[];
  readonly by: string;
}

export async function createGroup(
  services: Services,
  { name, externalId, parent, instructors = [], subenvironments: linked = [], by }: NewGroup,
): Promise<GroupId> {
  if (name.trim() === '') throw new UsageError('A group needs a name; nothing was changed.');
  const subenvironments = await madeSubenvironments(services.store, linked);
  const id = (await reserve(services.store, 'groups', 1)) as GroupId;
  const after: Group = {
    id,
    name: name.trim(),
    ...(externalId && { externalId }),
    ...(parent && { parent }),
    instructors,
    subenvironments,
    courses: [],
  };
  const groups = (now: Structure) => {
    if (externalId) refuseTaken(now, externalId);
    if (parent) groupIn(now, parent);
    return [{ id, after }];
  };
  await changeStructure(services, { by, why: 'groups create', groups, option: 'expire' });
  return id;
}

export interface GroupEdit {
  readonly name?: string;
  /** null takes it away. */
  readonly externalId?: ExternalId | null;
  readonly instructors?: readonly string[];
  readonly subenvironments?: readonly string[];
}

export async function editGroup(
  services: Services,
  { group: id, set, ...order }: { group: GroupId; set: GroupEdit } & StructureOrder,
): Promise<ManualResult> {
  const { externalId, subenvironments: linked, ...fields } = set;
  const known = groupIn(await readStructure(services.store), id).subenvironments;
  const subenvironments = linked && (await madeSubenvironments(services.store, linked, { known }));
  const others = { ...fields, ...(subenvironments && { subenvironments }) };
  const groups = (now: Structure) => {
    const { externalId: old, ...group } = groupIn(now, id);
    if (externalId) refuseTaken(now, externalId, id);
    const key = externalId === undefined ? old : (externalId ?? undefined);
    const after: Group = { ...group, ...others, ...(key !== undefined && { externalId: key }) };
    return [{ id, after }];
  };
  return changeStructure(services, { ...order, why: 'groups edit', groups, option: 'expire' });
}

/** @throws {UsageError} where the group cannot lie in that one. */
export function refuseCircle(structure: Structure, group: Group, parent: Group): void {
  if (group.id === parent.id) throw new UsageError('A group cannot lie below itself; nothing was changed.');
  if (!structure.wouldCircle(group.id, parent.id)) return;
  throw new UsageError(
    `Group ${parent.externalId ?? parent.name} lies below ${group.externalId ?? group.name}, so the move would make a circle; nothing was changed. Choose another parent.`,
  );
}

/** Puts a group, with those below it, below another; null = at the top. */
export async function moveGroup(
  services: Services,
  {
    group: id,
    parent,
    courses,
    ...order
  }: { group: GroupId; parent: GroupId | null; courses: RemovalOption } & StructureOrder,
): Promise<ManualResult> {
  const groups = (now: Structure) => {
    const { parent: _, ...group } = groupIn(now, id);
    const above = parent === null ? undefined : groupIn(now, parent);
    if (above) refuseCircle(now, groupIn(now, id), above);
    return [{ id, after: { ...group, ...(above && { parent: above.id }) } }];
  };
  return changeStructure(services, { ...order, why: 'groups move', groups, option: courses });
}

/**
 * Makes the stored revision another one, so that nothing else stands on this reading any more: before the first of several
 * transactions, since a refusal in a later one would leave what the ones before it have done.
 */
async function claim({ store }: Services, id: GroupId, revision: number): Promise<void> {
  const { modifiedCount } = await store.groups.updateOne({ _id: id, revision }, { $inc: { revision: 1 } });
  if (modifiedCount === 0) throw new ChangedMeanwhile('group');
}

/** Deletes a group: its members are taken out with the option, its children go to its parent (R10). */
export async function deleteGroup(
  services: Services,
  { group: id, courses, by, revision }: { group: GroupId; courses: RemovalOption } & StructureOrder,
): Promise<ManualResult> {
  groupIn(await readStructure(services.store), id);
  if (revision !== undefined) await claim(services, id, revision);
  const groups = (now: Structure) => {
    const { parent } = groupIn(now, id);
    const children = now.children(id).map((child) => {
      const { parent: _, ...rest } = groupIn(now, child);
      return { id: child, after: { ...rest, ...(parent && { parent }) } };
    });
    return [...children, { id, after: null }];
  };
  // Who joins meanwhile is taken out as well; what a feed is applying just now leaves the group out once it is gone.
  let left = await removeMembers(services, { group: id, learners: 'all', courses, by });
  for (let tries = 1; ; tries += 1) {
    try {
      return together(left, await changeStructure(services, { by, why: 'groups delete', groups, option: courses }));
    } catch (error) {
      if (!(error instanceof LearnerJoined) || tries === TRIES) throw error;
      left = together(left, await removeMembers(services, { group: id, learners: 'all', courses, by }));
    }
  }
}

/** What two changes came to, as one: that of the later. */
function together(before: ManualResult, after: ManualResult): ManualResult {
  const sum = <T extends object>(a: T, b: T) =>
    Object.fromEntries(Object.entries(a).map(([key, count]) => [key, count + b[key as keyof T]])) as T;
  return {
    ...after,
    memberships: sum(before.memberships, after.memberships),
    subscriptions: sum(before.subscriptions, after.subscriptions),
    skipped: [...before.skipped, ...after.skipped],
    setAside: before.setAside + after.setAside,
  };
}

export async function linkCourses(
  services: Services,
  { group: id, courses, ...order }: { group: GroupId; courses: readonly CourseId[] } & StructureOrder,
): Promise<ManualResult> {
  const groups = (now: Structure) => {
    const group = groupIn(now, id);
    return [{ id, after: { ...group, courses: [...new Set([...group.courses, ...courses])] } }];
  };
  return changeStructure(services, { ...order, why: 'groups link', groups, option: 'expire' });
}

export async function unlinkCourses(
  services: Services,
  {
    group: id,
    courses,
    option,
    ...order
  }: { group: GroupId; courses: readonly CourseId[]; option: RemovalOption } & StructureOrder,
): Promise<ManualResult> {
  const groups = (now: Structure) => {
    const group = groupIn(now, id);
    return [{ id, after: { ...group, courses: group.courses.filter((course) => !courses.includes(course)) } }];
  };
  return changeStructure(services, { ...order, why: `groups unlink --courses ${option}`, groups, option });
}

/** Links groups to a subenvironment, or unlinks them. Which courses anybody has does not hang on it. */
export async function setSubenvironment(
  services: Services,
  { groups: ids, name, linked, by }: { groups: readonly GroupId[]; name: string; linked: boolean; by: string },
): Promise<number> {
  const groups = (now: Structure) =>
    ids.flatMap((id) => {
      const group = groupIn(now, id);
      const others = group.subenvironments.filter((one) => one !== name);
      const after = { ...group, subenvironments: linked ? [...others, name].sort() : others };
      return group.subenvironments.includes(name) === linked ? [] : [{ id, after }];
    });
  const count = groups(await readStructure(services.store)).length;
  const why = `subenvironments ${linked ? 'link' : 'unlink'}`;
  if (count > 0) await changeStructure(services, { by, why, groups, option: 'expire' });
  return count;
}

export async function addCourse(
  { store, clock }: Services,
  {
    name,
    externalId,
    subenvironment: place,
    by,
  }: { name: string; externalId?: ExternalId; subenvironment?: string; by: string },
): Promise<CourseId> {
  if (name.trim() === '') throw new UsageError('A course needs a name; nothing was changed.');
  refuseUnfitId(externalId);
  const [subenvironment] = place === undefined ? [] : await madeSubenvironments(store, [place]);
  const _id = (await reserve(store, 'courses', 1)) as CourseId;
  const run = await newRunId(store);
  const course: CourseDoc = {
    _id,
    name: name.trim(),
    ...(externalId && { externalId }),
    ...(subenvironment && { subenvironment }),
    createdBy: by,
  };
  const detail = [{ before: null, after: toCourse(course) }];
  const entry = { at: clock.now(), by, why: 'courses add', learners: [], detail, counts: {} };
  try {
    await store.transaction(async (session) => {
      await store.courses.insertOne(course, { session });
      await recordAudit(store, session, { _id: { run, batch: 0, step: 'course' }, ...entry });
    });
  } catch (error) {
    if (isDuplicateKey(error)) throw new UsageError(`Course ${externalId} exists already; nothing was changed.`);
    throw error;
  }
  return _id;
}

export interface StructureImport {
  readonly groups: readonly {
    readonly externalId: ExternalId;
    readonly name: string;
    readonly parent?: ExternalId;
    readonly courses?: readonly ExternalId[];
  }[];
  readonly courses: readonly { readonly externalId: ExternalId; readonly name: string }[];
  readonly by: string;
}

/**
 * Creates many groups and courses at once, parents named by External ID; those that exist keep what they are. Gives the
 * External IDs of the groups that were made: others may make some at the same time.
 */
export async function importStructure(
  services: Services,
  { groups, courses, by }: StructureImport,
): Promise<ReadonlySet<ExternalId>> {
  const { store } = services;
  const known = new Map<ExternalId, CourseId>();
  for await (const doc of store.courses.find({})) if (doc.externalId) known.set(doc.externalId, doc._id);
  const fresh = courses.filter(({ externalId }) => !known.has(externalId));
  const firstCourse = fresh.length > 0 ? await reserve(store, 'courses', fresh.length) : 0;
  const docs: CourseDoc[] = fresh.map((course, at) => ({ _id: (firstCourse + at) as CourseId, ...course }));
  if (docs.length > 0) {
    const run = await newRunId(store);
    const detail = docs.map((doc) => ({ before: null, after: toCourse(doc) }));
    const entry = { at: services.clock.now(), by, why: 'courses import', learners: [], detail, counts: {} };
    await store.transaction(async (session) => {
      await store.courses.insertMany(docs, { session });
      await recordAudit(store, session, { _id: { run, batch: 0, step: 'course' }, ...entry });
    });
  }
  for (const { _id, externalId } of docs) known.set(externalId as ExternalId, _id);

  const isNew = (structure: Structure) => groups.filter(({ externalId }) => !structure.byExternalId(externalId));
  const wanted = isNew(await readStructure(store));
  const firstGroup = wanted.length > 0 ? await reserve(store, 'groups', wanted.length) : 0;
  const ids = new Map(wanted.map(({ externalId }, at) => [externalId, (firstGroup + at) as GroupId]));
  const changesFrom = (now: Structure): GroupChange[] =>
    isNew(now).flatMap(({ externalId, name, parent, courses: linked = [] }) => {
      const id = ids.get(externalId);
      const above = parent && (now.byExternalId(parent)?.id ?? ids.get(parent));
      if (parent && !above) throw new NotFound(`Group ${parent} was deleted a moment ago; nothing was changed.`);
      const after = {
        externalId,
        name,
        ...(above && { parent: above }),
        instructors: [],
        subenvironments: [],
        courses: linked.flatMap((course) => known.get(course) ?? []),
      };
      // One that was there a moment ago, and is gone, is not made again.
      return id === undefined ? [] : [{ id, after: { id, ...after } }];
    });
  let made: GroupChange[] = [];
  const madeFrom = (now: Structure) => {
    made = changesFrom(now);
    return made;
  };
  if (wanted.length > 0)
    await changeStructure(services, { by, why: 'groups import', groups: madeFrom, option: 'expire' });
  return new Set(made.flatMap(({ after }) => after?.externalId ?? []));
}
