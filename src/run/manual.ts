import type { Change } from '../domain/change.ts';
import { ChangedMeanwhile, NotFound } from '../domain/errors.ts';
import type { CourseId, GroupId, LearnerId, RunId } from '../domain/ids.ts';
import { type SettleKind, strongest } from '../domain/settle.ts';
import type { Structure } from '../domain/structure.ts';
import { settleBatch, settleChanges } from '../reconcile/settleBatch.ts';
import { newRunId } from '../store/counters.ts';
import { isPermanent } from '../store/failures.ts';
import { learnersById } from '../store/learners.ts';
import type { BatchDoc, RunDoc } from '../store/models.ts';
import { ofRun } from '../store/outbox.ts';
import { insertEnded } from '../store/runs.ts';
import type { Services } from '../store/services.ts';
import { type Session, type Store, within } from '../store/store.ts';
import { advanceRun, countEvents } from './advance.ts';
import { applyBatch, applyChanges, structureFor } from './applyBatch.ts';
import { chunks } from './chunks.ts';
import type { SubscriptionCounts } from './outcome.ts';
import { BATCH_SIZE, settleKindOf } from './planWriter.ts';
import { waiting } from './start.ts';

/** What a change by hand came to. */
export interface ManualResult {
  readonly run: RunId;
  readonly memberships: { readonly added: number; readonly removed: number };
  readonly subscriptions: SubscriptionCounts;
  /** Purges that were not done, with the groups that still give the course (none = a direct grant). */
  readonly skipped: readonly { learner: LearnerId; course: CourseId; through: readonly GroupId[] }[];
  /** Operations that could not be applied, kept for a retry. */
  readonly setAside: number;
}

export interface ManualOrder {
  readonly by: string;
  /** What was done, in the words of the commands: `groups remove`. */
  readonly why: string;
  readonly changes: readonly Change[];
  /** Only where the learner is as it was read. */
  readonly asRead?: boolean;
}

/**
 * Changes by hand go the way of a feed's: a run with batches, applied and settled; here in this process, at once. What
 * fits into one batch is one transaction. Of more, and where a change cannot be applied, each batch has its own (R27):
 * killed half way, the outbox holds the rest for the next worker.
 */
export async function changeByHand(services: Services, order: ManualOrder): Promise<ManualResult> {
  const { store, clock } = services;
  const { by, why, changes, asRead = false } = order;
  const now = clock.now();
  const run = { ...blankRun(await newRunId(store), 'manual', by, why, now), attempt: 1 };
  const batches: BatchDoc[] = [...chunks(changes, BATCH_SIZE)].map((some, at) => ({
    _id: { run: run._id, batch: 1_000_001 + at },
    settle: settleKindOfChanges(some),
    creates: some.some(({ create }) => create),
    changes: some,
  }));
  const [only, ...others] = batches;
  const done = only && others.length === 0 ? await changeTogether(services, run, only, asRead) : undefined;
  if (done) return done;
  for (const some of chunks(batches.slice(0, -1), 20)) await store.batches.insertMany(some);
  await store.transaction(async (session) => {
    await store.runs.insertOne(run, { session });
    const last = batches.at(-1);
    if (!last) return;
    await store.batches.insertOne(last, { session });
    await store.outbox.insertMany(
      batches.map(({ _id }) => waiting(_id, 'apply', now)),
      { session },
    );
  });
  await drainRun(services, run._id);
  const { memberships, events, report } = await resultOf(store, run._id, changes);
  await store.runs.updateOne({ _id: run._id }, { $set: { report } });
  return { run: run._id, memberships, ...events, setAside: await store.setAside.countDocuments({ run: run._id }) };
}

export interface SettleByHand {
  readonly by: string;
  readonly why: string;
  readonly learners: readonly LearnerId[];
  readonly settle: SettleKind;
  readonly grants?: NonNullable<BatchDoc['grants']>;
}

/**
 * Settles learners whose memberships stay as they are, as a run: here, and by the next worker where this process dies.
 * What cannot be settled is set aside (R27).
 */
export async function settleByHand(
  services: Services,
  { by, why, learners, settle, grants }: SettleByHand,
): Promise<RunId> {
  const { store, clock } = services;
  const now = clock.now();
  const run = { ...blankRun(await newRunId(store), 'manual', by, why, now), attempt: 1 };
  const batches: BatchDoc[] = [...chunks([...new Set(learners)], BATCH_SIZE)].map((some, at) => ({
    _id: { run: run._id, batch: 1_000_001 + at },
    settle,
    creates: false,
    changes: [],
    learners: some,
    ...(grants && { grants }),
  }));
  await store.transaction(async (session) => {
    await store.runs.insertOne(run, { session });
    if (batches.length === 0) return;
    await store.batches.insertMany(batches, { session });
    const entries = batches.map(({ _id }) => waiting(_id, settle, now));
    await store.outbox.insertMany(entries, { session });
  });
  await drainRun(services, run._id);
  return run._id;
}

/** The whole run in one transaction; undefined where a change in it cannot be applied. */
async function changeTogether(
  services: Services,
  run: RunDoc,
  batch: BatchDoc,
  asRead: boolean,
): Promise<ManualResult | undefined> {
  const { store, clock } = services;
  try {
    return await store.transaction(async (session) => {
      if (asRead) await refuseChanged(store, session, batch.changes);
      // A change of structure beside this one would not see these learners where they are going.
      const structure = await structureFor(store, session, batch);
      refuseGone(structure, batch.changes);
      const settles = await applyChanges(services, session, run, batch, structure);
      if (settles) await settleChanges(services, session, run, batch, settles);
      const { memberships, events, report } = await resultOf(store, run._id, batch.changes, session);
      const at = clock.now();
      const ended = (['reconciling', 'completed'] as const).map((state) => ({ state, at, by: run.by }));
      const history = [...run.history, ...ended];
      await store.batches.insertOne(batch, { session });
      await insertEnded(store, { ...run, state: 'completed', history, finishedAt: at, report }, session);
      return { run: run._id, memberships, ...events, setAside: 0 };
    });
  } catch (error) {
    if (!isPermanent(error)) throw error;
    return undefined;
  }
}

/** @throws {NotFound} where a group was deleted after it was looked up. */
function refuseGone(structure: Structure, changes: readonly Change[]): void {
  const groups = changes.flatMap(({ memberships }) => memberships.filter(({ after }) => after.length > 0));
  const gone = groups.find(({ group }) => !structure.group(group));
  if (gone) throw new NotFound(`Group id:${gone.group} was deleted a moment ago; nothing was changed.`);
}

/** @throws {ChangedMeanwhile} */
async function refuseChanged(store: Store, session: Session, changes: readonly Change[]): Promise<void> {
  const ids = changes.map(({ learner }) => learner);
  const live = await learnersById(store, ids, session);
  if (changes.some(({ learner, revision }) => live.get(learner)?.revision !== revision))
    throw new ChangedMeanwhile('learner');
}

function settleKindOfChanges(changes: readonly Change[]): BatchDoc['settle'] {
  return changes.reduce<BatchDoc['settle']>((kind, { memberships }) => {
    const needs = settleKindOf(memberships);
    return kind && needs ? strongest(kind, needs) : (needs ?? kind);
  }, null);
}

export function blankRun(_id: RunId, kind: RunDoc['kind'], by: string, why: string, now: Date): RunDoc {
  return {
    _id,
    kind,
    feed: null,
    state: 'applying',
    history: [{ state: 'applying', at: now, by, note: why }],
    preview: false,
    approve: false,
    mode: 'delta',
    source: { name: why, bytes: 0, sha256: '' },
    attempt: 0,
    by,
    createdAt: now,
    startedAt: now,
    finishedAt: null,
    stages: [],
  };
}

/** Batches applied or settled at once: the database works at one while the other is made ready. */
const SIDE_BY_SIDE = 2;

/** Does all the work of a run that waits in the outbox, here, without the queue. Workers may do the same beside it. */
export async function drainRun(services: Services, run: RunId): Promise<void> {
  const { store } = services;
  for (;;) {
    const entries = await store.outbox.find(ofRun(run)).sort({ _id: 1 }).limit(100).toArray();
    if (entries.length === 0) break;
    const applies = entries.filter(({ job }) => job === 'apply');
    const settles = entries.flatMap(({ _id, job }) => (job === 'apply' ? [] : [{ _id, job }]));
    await sideBySide(applies, ({ _id }) => applyBatch(services, _id));
    await sideBySide(settles, ({ _id, job }) => settleBatch(services, _id, job));
  }
  await advanceRun(services, run);
}

/** Works at some of the items at once, never waiting for the slowest; after an error none is begun any more. */
async function sideBySide<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  const left = items.values();
  let failed = false;
  const lane = async () => {
    for (const item of left) {
      if (failed) return;
      await work(item).catch((error: unknown) => {
        failed = true;
        throw error;
      });
    }
  };
  await Promise.all(Array.from({ length: SIDE_BY_SIDE }, lane));
}

/** What the changes and their settlements came to, and how the run's report says it. */
async function resultOf(store: Store, run: RunId, changes: readonly Change[], session?: Session) {
  const memberships = { added: 0, removed: 0 };
  for (const change of changes) {
    for (const group of new Set(change.memberships.map((one) => one.group))) {
      const mine = change.memberships.filter((one) => one.group === group);
      if (mine.some(({ before, after }) => before.length === 0 && after.length > 0)) memberships.added += 1;
      else if (mine.some(({ before, after }) => before.length > 0 && after.length === 0)) memberships.removed += 1;
    }
  }
  const events = await eventsOf(store, run, session);
  const report = { memberships: { ...memberships, changed: 0, unchanged: 0 }, subscriptions: events.subscriptions };
  return { memberships, events, report };
}

/** What the run's settlements did and left undone, from the audit. */
export async function eventsOf(
  store: Store,
  run: RunId,
  session?: Session,
): Promise<Pick<ManualResult, 'subscriptions' | 'skipped'>> {
  const subscriptions = await countEvents({ store }, run, session);
  const skipped: { learner: LearnerId; course: CourseId; through: readonly GroupId[] }[] = [];
  const skipping = { ...ofRun(run), 'counts.purge-skipped': { $exists: true } };
  for await (const { events } of store.audit.find(skipping, { projection: { events: 1 }, ...within(session) })) {
    for (const { learner, events: list } of events ?? []) {
      for (const event of list) {
        if (event.kind === 'purge-skipped') skipped.push({ learner, course: event.course, through: event.through });
      }
    }
  }
  return { subscriptions, skipped };
}
