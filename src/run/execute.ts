import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Rejection } from '../domain/claim.ts';
import { framesOf, MusterError } from '../domain/errors.ts';
import { guardAllFeeds } from '../domain/guard.ts';
import type { GroupId, LearnerId } from '../domain/ids.ts';
import type { FeedPolicy } from '../domain/policy.ts';
import { BrokenOff } from '../feed/errors.ts';
import { MAPPING_VERSION } from '../feed/mapping.ts';
import { type FeedReader, openFeed } from '../feed/reader.ts';
import type { Rows } from '../feed/rows/rows.ts';
import { ROW_HASH } from '../feed/rows/schedule.ts';
import { LOOK_AGAIN, RowTableWriter } from '../feed/rows/table.ts';
import { endsWithLineBreak, type SourceFile, sha256Of } from '../feed/sources/file.ts';
import { type FeedSettings, policyOf } from '../settings/feed.ts';
import { reserve } from '../store/counters.ts';
import { readErased } from '../store/erasures.ts';
import { isDuplicateKey, isTransient } from '../store/failures.ts';
import { readFeedDoc, readWindowOption, settingsOf } from '../store/feeds.ts';
import { externalIdsOf, hasLearners, learnersById, learnersHeldBy, learnersToLookAt } from '../store/learners.ts';
import type { Applied, FeedDoc, RejectedDoc, RunDoc } from '../store/models.ts';
import { ofRun } from '../store/outbox.ts';
import { endLease, lostByAllSince, moveRun, readRun, renewLease, supersedeHeld } from '../store/runs.ts';
import type { Services } from '../store/services.ts';
import type { Store } from '../store/store.ts';
import { readStructure } from '../store/structure.ts';
import { dropTable, writeTable } from '../store/tables.ts';
import { Addresses } from './addresses.ts';
import { finishRun } from './advance.ts';
import { contestedEmails } from './emails.ts';
import { LearnerSet } from './learnerSet.ts';
import { loadTable } from './loadTable.ts';
import { withNewGroups } from './newGroups.ts';
import { countEvent, NO_SUBSCRIPTIONS, type Outcome, type SubscriptionCounts } from './outcome.ts';
import { planRun, type RunPlan } from './planRun.ts';
import { type ReadInput, type Reading, readClaims } from './read.ts';
import type { RowMap } from './rowMap.ts';
import { simulate } from './simulate.ts';
import { attemptOf, startApplying } from './start.ts';

/** A run whose reader has not been heard of for this long may be taken over, ms. */
export const LEASE = 30_000;
/** Ids of what a preview would create: they are nobody's. */
const PREVIEW_IDS = 4_000_000_000;
/** A cut within the last cell leaves a row that looks whole: the missing line break tells (R16). */
const UNCLOSED =
  'no line break ends its last row, as one did in the last applied file. Where files end so from now on, import this one with --approve';

/**
 * Takes a queued run through reading, planning and the guard, and starts applying where nothing holds it. The run
 * ends `completed` (no change), `planned` (preview), `held`, `applying` or `failed`; nothing is thrown for a feed
 * that cannot be used: that is a failed run with its error. A run that was killed while reading is read again, and so
 * is one that met trouble with the database, which is thrown.
 */
export async function executeRun(services: Services, run: RunDoc, file: SourceFile): Promise<RunDoc> {
  const { store } = services;
  const taken = await takeRun(services, run, file);
  if (!taken) return (await readRun(store, run._id)) as RunDoc;
  const renew = () => renewLease(store, taken, new Date(services.clock.now().getTime() + LEASE));
  const beat = setInterval(() => void renew().catch(() => undefined), LEASE / 6);
  try {
    await readAndPlan(services, taken, file);
  } catch (error) {
    if (isTransient(error)) await endLease(store, taken).catch(() => undefined);
    else await failRun(services, taken, error, file);
    if (!(error instanceof MusterError)) throw error;
  } finally {
    clearInterval(beat);
  }
  return (await readRun(store, run._id)) as RunDoc;
}

/** Compare-and-set into `reading`; undefined where another has it, or the feed has another working run (R23). */
async function takeRun({ store, clock }: Services, run: RunDoc, file: SourceFile): Promise<RunDoc | undefined> {
  const now = clock.now();
  const lease = {
    owner: `${hostname()}-${process.pid}-${randomUUID()}`,
    host: hostname(),
    pid: process.pid,
    until: new Date(now.getTime() + LEASE),
  };
  const attempt = run.attempt + 1;
  // The feed's own source: which file that was, is known now.
  const source = run.source.path === undefined ? { ...run.source, name: file.name } : run.source;
  const set = { attempt, lease, source, startedAt: run.startedAt ?? now, ...(!run.preview && { working: true }) };
  const taken: RunDoc = { ...run, ...set, state: 'reading' };
  try {
    return (await moveRun(store, run, 'reading', { by: run.by, at: now, set })) ? taken : undefined;
  } catch (error) {
    if (isDuplicateKey(error)) return undefined;
    // It may have been written although that is not known.
    await endLease(store, taken).catch(() => undefined);
    throw error;
  }
}

/** Ends a run with its error. `file`: what it could not use; the report names it by its hash. */
export async function failRun(
  { store, clock, log }: Services,
  run: RunDoc,
  error: unknown,
  file?: SourceFile,
): Promise<void> {
  const known = error instanceof MusterError;
  const { name, message } = error as Error;
  const code = known ? error.code : name;
  log.error({ run: run._id, feed: run.feed, code, ...(!known && { at: framesOf(error as Error) }) }, 'run failed');
  const sha256 = file && (await sha256Of(file).catch(() => undefined));
  const now = clock.now();
  const current = await readRun(store, run._id);
  if (!current || current.attempt !== run.attempt) return;
  const source = file && sha256 !== undefined ? { ...run.source, bytes: file.bytes, sha256 } : run.source;
  await moveRun(store, current, 'failed', {
    by: run.by,
    at: now,
    set: { finishedAt: now, error: { code, message }, source },
    unset: ['working', 'lease'],
  });
}

async function readAndPlan(services: Services, run: RunDoc, file: SourceFile): Promise<void> {
  const { store, clock } = services;
  const feed = (await readFeedDoc(store, run.feed as string)) as FeedDoc;
  const settings = settingsOf({ _id: feed._id, text: run.settings ?? feed.text });
  const started = clock.now();
  const readAt = started;
  const structure = await readStructure(store);
  const digest = digestOf(settings);
  const lookAgain = await learnersToLookAt(store, { feed: feed._id, authority: settings.authority });
  const { applied } = feed;
  const sameSettings = applied !== undefined && applied.settings === digest;
  const sameMeaning = sameSettings && applied.keys === structure.keysRevision;

  if (sameMeaning && lookAgain.length === 0 && applied.again === 0 && applied.bytes === file.bytes && !run.preview) {
    const sha256 = await sha256Of(file);
    if (sha256 === applied.sha256 && (await sameAgain(services, run, feed, applied, started))) return;
  }
  const reader = await openFeed(file, settings);
  const layout = layoutDigest(reader);
  // Rows that name groups which are not there are rejected, and are read again in any case; those of leavers name none.
  const comparable = sameSettings && applied.keysGone === structure.keysGoneRevision && applied.layout === layout;
  const hashKey = applied ? Buffer.from(applied.hashKey, 'hex') : randomBytes(16);
  let previewId = PREVIEW_IDS;
  const newIds = async (what: 'groups' | 'learners', count: number): Promise<number> => {
    if (!run.preview) return reserve(store, what, count);
    previewId += count;
    return previewId - count;
  };
  const policy = policyOf(settings);
  const anybody = await hasLearners(store);
  const addresses = new Addresses(store);
  const { reading, candidates } = await readNight(services, feed, comparable, {
    reader,
    policy,
    structure,
    hashKey,
    lookAgain,
    erased: await readErased(store),
    idsOf: (ids) => addresses.idsOf(ids),
    namesOf: (ids) => externalIdsOf(store, ids),
    contested: (claims) => (anybody ? contestedEmails(addresses, claims, policy.match) : Promise.resolve([])),
    newGroupIds: async (count) => {
      const first = count > 0 ? await newIds('groups', count) : 0;
      return Array.from({ length: count }, (_, at) => (first + at) as GroupId);
    },
  });
  const closed = await endsWithLineBreak(file);
  if (applied?.closed && !closed && !run.approve) {
    throw new BrokenOff(file.name, reading.firstRow + reading.rows.read - 1, UNCLOSED);
  }
  const readMs = clock.now().getTime() - started.getTime();
  const planStart = clock.now();
  const stored = await readWindowOption(store);
  const plan = await planRun({
    store,
    addresses,
    run,
    feed,
    policy,
    structure: withNewGroups(structure, reading.newGroups),
    reading,
    candidates,
    // A preview may be of other settings than those that are stored.
    windowOption: (source) => (source === feed._id ? policy.leaver.courses : stored(source)),
    newLearnerIds: (count) => newIds('learners', count),
    now: planStart,
  });
  await storeRejected(services, run, reader, reading, plan.rejections);
  const tableId = `${run._id}-${run.attempt}`;
  const packs = !run.preview && policy.mode === 'full';
  const last = applied && lookAgain.length === 0 && servesAgain(settings, reading, plan) ? applied : undefined;
  const tableParts = packs && !last ? await writeTable(store, tableId, packTable(reading.rowMap, plan.lookAgain)) : 0;
  await dropAbandoned(services, run);

  const outcome: Outcome = {
    ...plan.outcome,
    readAt,
    applied: {
      sha256: reading.sha256,
      bytes: file.bytes,
      rows: reading.rows.read,
      settings: digest,
      layout,
      keys: structure.keysRevision + (reading.newGroups.size > 0 ? 1 : 0),
      keysGone: structure.keysGoneRevision,
      table: last?.table ?? tableId,
      tableParts: last?.tableParts ?? tableParts,
      hashKey: hashKey.toString('hex'),
      again: againOf(policy, plan),
      closed,
    },
  };
  const stages = [
    { name: 'read', ms: readMs },
    { name: 'plan', ms: clock.now().getTime() - planStart.getTime() },
  ];
  const source = { ...run.source, bytes: file.bytes, sha256: reading.sha256 };
  const { mode } = policy;
  const planned = { ...run, stages, outcome, source, mode, batches: plan.batches, state: 'planned' as const };
  const moved = await moveRun(store, run, 'planned', {
    by: run.by,
    at: clock.now(),
    set: {
      outcome,
      stages,
      batches: plan.batches,
      mode,
      source,
      rejectedLayout: reader.rejectedLayout,
      ...(run.preview && { finishedAt: clock.now() }),
    },
    ...(run.preview && { unset: ['lease'] }),
  });
  if (!moved) await dropOvertaken(services, run, tableId);
  else if (!run.preview) await decide(services, planned, outcome, file);
}

/**
 * Reads by the hashes of last night's rows; where a collision of hashes has hidden a row of somebody from whom
 * something would be taken away, reads every row instead (docs/decisions/0002-row-hashes.md). `comparable`: are rows
 * understood today as they were then? `candidates`: learners of the last applied run who may have left.
 */
async function readNight(
  { store, log }: Services,
  feed: FeedDoc,
  comparable: boolean,
  input: Omit<ReadInput, 'known'>,
): Promise<{ reading: Reading; candidates: Iterable<LearnerId> }> {
  const { applied } = feed;
  // A delta feed names its leavers.
  if (input.policy.mode !== 'full')
    return { reading: await readClaims({ ...input, known: undefined }), candidates: [] };
  const all = new LearnerSet(input.lookAgain);
  if (applied && comparable) {
    const reading = await readByTable(store, applied, input);
    if (reading && !reading.hidesRow) {
      for (const id of reading.lost) all.add(id);
      return { reading, candidates: all };
    }
    if (reading) log.warn('two rows of the feed have one hash; every row is read');
  }
  await addNamed(store, feed, all);
  return { reading: await readClaims({ ...input, known: undefined }), candidates: all };
}

/** Undefined where the table of the last applied run is not there. */
async function readByTable(
  store: Store,
  applied: Applied,
  input: Omit<ReadInput, 'known'>,
): Promise<Reading | undefined> {
  const known = await loadTable(store, applied);
  return known && readClaims({ ...input, known });
}

/**
 * Adds those whom the last applied run named, or, where its table is not there, whom the feed holds. The table itself is
 * let go: reading needs the room.
 */
async function addNamed(store: Store, { _id, applied }: FeedDoc, learners: LearnerSet): Promise<void> {
  const table = applied && (await loadTable(store, applied));
  if (!table) for await (const id of learnersHeldBy(store, _id)) learners.add(id);
  else for (let at = 0; at < table.rows; at += 1) learners.add(table.learner(at) as LearnerId);
}

/** A reader that was taken for dead, or whose run was cancelled, wakes with a plan that nobody waits for. */
async function dropOvertaken({ store }: Services, run: RunDoc, table: string): Promise<void> {
  await dropTable(store, table);
  await store.batches.deleteMany({ _id: attemptOf(run) });
}

/** What becomes of a complete plan: held, done already, or applied. */
async function decide(services: Services, run: RunDoc, counted: Outcome, { path }: SourceFile): Promise<void> {
  const { store, clock } = services;
  await supersedeHeld(store, run, clock.now());
  const outcome = await countAgain(services, run, counted);
  if (outcome.guard.held && !run.approve) {
    const set = {
      outcome: { ...outcome, subscriptions: await foresee(services, run) },
      // Where a plan that went stale finds its bytes again.
      ...(run.source.path === undefined && { source: { ...run.source, path, host: hostname() } }),
    };
    await moveRun(store, run, 'held', { by: 'guard', at: clock.now(), set, unset: ['working', 'lease'] });
  } else if (outcome.noChange) await finishRun(services, run);
  else await startApplying(services, run, run.by, outcome.guard.held ? 'approved beforehand' : undefined);
}

/** A run of another feed that was planned at the same time may have begun to take away what this plan was not counted with. */
export async function countAgain({ store, clock }: Services, run: RunDoc, outcome: Outcome): Promise<Outcome> {
  if (outcome.guard.held || run.approve || outcome.lost === 0) return outcome;
  const feed = (await readFeedDoc(store, run.feed as string)) as FeedDoc;
  const { limits } = policyOf(settingsOf({ _id: feed._id, text: run.settings ?? feed.text }));
  const allFeeds = await lostByAllSince(store, new Date(clock.now().getTime() - 86_400_000));
  const figures = {
    membershipsLost: outcome.lost,
    lastRows: feed.applied?.rows ?? null,
    ...(allFeeds && { allFeeds }),
  };
  const breaches = guardAllFeeds(figures, limits);
  return breaches.length > 0 ? { ...outcome, guard: { held: true, breaches } } : outcome;
}

/** What a held plan would do to subscriptions: who approves it has to know (R30). */
async function foresee({ store, clock }: Services, run: RunDoc): Promise<SubscriptionCounts> {
  const counts = { ...NO_SUBSCRIPTIONS };
  const { newGroups } = run.outcome as Outcome;
  const structure = withNewGroups(await readStructure(store), new Map(newGroups.map((group) => [group.id, group])));
  const windowOption = await readWindowOption(store);
  for await (const { changes } of store.batches.find({ _id: attemptOf(run) })) {
    const live = await learnersById(
      store,
      changes.flatMap(({ create, learner }) => (create ? [] : [learner])),
    );
    const planned = changes.map((change) => ({ change, live: live.get(change.learner) }));
    const settlements = await simulate(store, planned, structure, clock.now(), windowOption);
    for (const { events } of settlements) for (const { kind } of events) countEvent(counts, kind);
  }
  return counts;
}

/** The same bytes, understood the same way, and nobody has touched what the feed holds: no change (R17). */
async function sameAgain(
  services: Services,
  run: RunDoc,
  feed: FeedDoc,
  applied: Applied,
  started: Date,
): Promise<boolean> {
  const { store, clock } = services;
  const now = clock.now();
  const last = await readRun(store, applied.run);
  if (!last?.outcome) return false;
  const { rows, protected: shielded, problems, named = feed.held.learners } = last.outcome as Outcome;
  await supersedeHeld(store, run, now);
  await rejectAgain(store, last, run);
  const outcome = {
    noChange: true,
    rows,
    learners: { created: 0, updated: 0, reactivated: 0, deactivated: 0, unchanged: named },
    groups: { created: 0 },
    memberships: { added: 0, removed: 0, changed: 0, unchanged: feed.held.memberships },
    guard: { held: false, breaches: [] },
    protected: shielded,
    problems,
    lost: 0,
  };
  const moved = await moveRun(store, run, 'completed', {
    by: run.by,
    at: now,
    set: {
      outcome,
      finishedAt: now,
      stages: [{ name: 'read', ms: now.getTime() - started.getTime() }],
      source: { ...run.source, bytes: applied.bytes, sha256: applied.sha256 },
      ...(last.rejectedLayout !== undefined && { rejectedLayout: last.rejectedLayout }),
    },
    unset: ['working', 'lease'],
  });
  return moved;
}

/** The rows that were rejected are so again, for the same reasons. */
async function rejectAgain(store: Store, last: RunDoc, run: RunDoc): Promise<void> {
  const before = {
    $gte: { run: last._id, attempt: last.attempt, row: 0 },
    $lt: { run: last._id, attempt: last.attempt + 1, row: 0 },
  };
  const docs = await store.rejected.find({ _id: before }, { promoteBuffers: true }).toArray();
  if (docs.length === 0) return;
  await store.rejected.insertMany(
    docs.map(({ _id, ...doc }) => ({ _id: { run: run._id, attempt: run.attempt, row: _id.row }, ...doc })),
    { ordered: false },
  );
}

/** Rejections that may go without a change of the file, its settings or its groups: by what else is stored. */
const MAY_GO: ReadonlySet<string> = new Set(['unknown-learner', 'email-held', 'email-twice']);

/**
 * How much of a plan the same bytes could bring out otherwise another night. Learners whom a rejected row protects are
 * protected again; grace days run out.
 */
function againOf({ leaver }: FeedPolicy, { rejections, lookAgain }: RunPlan): number {
  const mayGo = rejections.filter(({ code }) => MAY_GO.has(code)).length;
  return mayGo + (leaver.graceDays > 0 ? lookAgain.size : 0);
}

/** Digest of all that decides how rows are understood and what follows from them. */
function digestOf({ schedule, notify: _, guard: __, source: ___, ...settings }: FeedSettings): string {
  // Of the schedule, the time zone says when the days of windows begin.
  return createHash('sha256')
    .update(JSON.stringify([MAPPING_VERSION, schedule.timeZone, settings]))
    .digest('hex');
}

/** Digest of what the header says, below another of which or in another encoding the same bytes mean something else, and of how rows are hashed. */
function layoutDigest({ layout: { headers, delimiter, encoding } }: FeedReader): string {
  return createHash('sha256')
    .update(JSON.stringify([headers, delimiter, encoding.name, ROW_HASH]))
    .digest('hex');
}

/**
 * Does the last applied run's table say of tonight's rows what a new one would, but for a few that will be parsed again
 * and be no news again? Where changes by hand stay until the feed has news, a row must be news once (R21).
 */
function servesAgain({ authority }: FeedSettings, { nearlyAsBefore, marked }: Reading, plan: RunPlan): boolean {
  if (!nearlyAsBefore || authority !== 'feed' || !plan.outcome.noChange) return false;
  for (const learner of plan.lookAgain) if (!marked.has(learner)) return false;
  return true;
}

/** Tonight's rows for tomorrow's comparison; rows of learners who must be looked at again match nothing. */
function* packTable(rowMap: RowMap, lookAgain: LearnerSet): Generator<Uint8Array> {
  const full: Uint8Array[] = [];
  const writer = new RowTableWriter((part) => full.push(part));
  const marked = new LearnerSet();
  const mark = (learner: LearnerId) => {
    if (!marked.has(learner)) writer.add(LOOK_AGAIN.hashLow, LOOK_AGAIN.hashHigh, learner, 0);
    marked.add(learner);
  };
  for (let from = 0; from < rowMap.length; from += PACKED_AT_ONCE) {
    packRows(rowMap, from, Math.min(rowMap.length, from + PACKED_AT_ONCE), lookAgain, writer, mark);
    for (const part of full.splice(0)) {
      yield part;
      writer.reuse(part);
    }
  }
  for (const learner of lookAgain) mark(learner);
  writer.end();
  yield* full;
}

const PACKED_AT_ONCE = 50_000;

/** A loop of its own, in which no number becomes an object: a generator makes one of nearly every hash. */
function packRows(
  rowMap: RowMap,
  from: number,
  to: number,
  lookAgain: LearnerSet,
  writer: RowTableWriter,
  mark: (learner: LearnerId) => void,
): void {
  for (let at = from; at < to; ) {
    const end = at + rowMap.together(at, to - at);
    let first = at;
    for (; at < end; at += 1) {
      const learner = rowMap.learner(at);
      if (learner !== 0 && !lookAgain.has(learner)) continue;
      if (at > first) rowMap.addTo(writer, first, at - first);
      if (learner !== 0) mark(learner);
      first = at + 1;
    }
    if (end > first) rowMap.addTo(writer, first, end - first);
  }
}

/** Keeps rejected rows with their bytes; those that were not copied in the first pass over the file need one more. */
async function storeRejected(
  { store }: Services,
  run: RunDoc,
  reader: FeedReader,
  { copies }: Reading,
  rejections: readonly Rejection[],
): Promise<void> {
  const byRow = new Map(rejections.map((rejection) => [rejection.row, rejection]));
  const docOf = ({ row, code, message }: Rejection, rows: Rows, at: number): RejectedDoc => {
    byRow.delete(row);
    return { _id: { run: run._id, attempt: run.attempt, row }, code, message, bytes: reader.raw(rows, at) };
  };
  const insert = async (docs: RejectedDoc[]) => {
    if (docs.length > 0) await store.rejected.insertMany(docs, { ordered: false });
  };
  await insert(
    [...byRow.values()].flatMap((rejection) => {
      const at = copies?.indexOf(rejection.row) ?? -1;
      return copies && at >= 0 ? [docOf(rejection, copies.rows, at)] : [];
    }),
  );
  if (byRow.size === 0) return;
  for await (const { rows, firstRow } of reader.rows()) {
    const docs = [];
    for (let at = 0; at < rows.count; at += 1) {
      const rejection = byRow.get(firstRow + at);
      if (rejection) docs.push(docOf(rejection, rows, at));
    }
    await insert(docs);
  }
}

/** Batches and rejected rows of tries at reading that were given up. */
async function dropAbandoned({ store }: Services, run: RunDoc): Promise<void> {
  if (run.attempt === 1) return;
  await store.batches.deleteMany({ _id: { ...ofRun(run._id)._id, $lt: attemptOf(run).$gt } });
  await store.rejected.deleteMany({
    _id: { $gte: { run: run._id } as never, $lt: { run: run._id, attempt: run.attempt } as never },
  });
}
