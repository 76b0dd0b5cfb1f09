import { NotFound, NotNow, UsageError } from '../domain/errors.ts';
import { type ExternalId, externalId, type GroupId, type LearnerId, type RunId } from '../domain/ids.ts';
import type { JobName } from '../queue/job.ts';
import type { Waiting } from '../queue/queues.ts';
import { settleBatch, settleSetAside } from '../reconcile/settleBatch.ts';
import { recordAudit } from '../store/auditChain.ts';
import type { OutboxDoc, RunDoc, SetAsideDoc } from '../store/models.ts';
import { entryFailed, ofRun } from '../store/outbox.ts';
import type { Services } from '../store/services.ts';
import { describe, lookAgainAt, retryFailed, takeSetAside } from '../store/setAside.ts';
import type { Store } from '../store/store.ts';
import { advanceRun, recount } from './advance.ts';
import { applyBatch, applySetAside } from './applyBatch.ts';

/** One thing that has not been done yet: an operation that was set aside, or a batch that waits. */
export interface QueueItem {
  /** Usable as an argument: `r1-1000001` of a batch, `r1-1000001-17` of one learner's operation. */
  readonly id: string;
  readonly state: 'set-aside' | 'failed' | 'waiting';
  readonly queue: Waiting['job'];
  readonly run: RunId;
  readonly feed: string | null;
  /** Whose operation it is; null = a whole batch. */
  readonly learner: LearnerId | null;
  /** Whom the operation is to create, and who is not stored yet. */
  readonly newcomer: ExternalId | null;
  readonly groups: readonly GroupId[];
  readonly tries: number;
  readonly error: { readonly code: string; readonly message: string } | null;
  /** When it is tried again by itself; null = not before a person says so. */
  readonly retryAt: Date | null;
  readonly since: Date;
  /** What the operation's tries came to. */
  readonly history: SetAsideDoc['tries'];
}

export interface QueueFilter {
  readonly queue?: JobName;
  readonly run?: RunId;
  readonly feed?: string;
  readonly learner?: LearnerId;
  /** Somebody whom an operation is to create. */
  readonly newcomer?: ExternalId;
  readonly group?: GroupId;
  /** Code of the error. */
  readonly error?: string;
}

/** What waits and what was set aside, from the database, oldest first; the set-aside first. */
export async function* queueItems({ store }: Services, filter: QueueFilter = {}): AsyncGenerator<QueueItem> {
  const { queue, run, feed, learner, newcomer, group, error } = filter;
  const wanted = {
    ...(queue && { job: queue as SetAsideDoc['job'] }),
    ...(run && { run }),
    ...(feed && { feed }),
    ...(learner && { learner }),
    ...(newcomer && { [NEWCOMER]: newcomer }),
    ...(group && { groups: group }),
    ...(error && { 'error.code': error }),
  };
  for await (const doc of store.setAside.find(wanted).sort({ createdAt: 1, _id: 1 })) yield ofSetAside(doc);
  if (learner || newcomer || group) return;
  const runs = new Map<RunId, Pick<RunDoc, 'feed' | 'startedAt' | 'createdAt'>>();
  const entries = store.outbox.find({
    ...(queue && { job: queue as OutboxDoc['job'] }),
    ...(run && ofRun(run)),
    ...(error && { 'error.code': error }),
  });
  for await (const entry of entries.sort({ _id: 1 })) {
    const id = entry._id.run;
    if (!runs.has(id)) {
      const found = await store.runs.findOne({ _id: id }, { projection: { feed: 1, startedAt: 1, createdAt: 1 } });
      if (found) runs.set(id, found);
    }
    const of = runs.get(id);
    if (of && (feed === undefined || of.feed === feed)) yield ofEntry(entry, of);
  }
}

const NEWCOMER = 'change.create.externalId';

/** The External ID where a set-aside operation is to create the learner; undefined where none is. */
export async function newcomerOf({ setAside }: Store, text: string): Promise<ExternalId | undefined> {
  const id = externalId(text);
  return id && (await setAside.findOne({ [NEWCOMER]: id }, { projection: { _id: 1 } })) ? id : undefined;
}

function ofSetAside(doc: SetAsideDoc): QueueItem {
  const { _id: id, job: queue, run, feed, learner, groups, tries, error, retryAt, createdAt: since } = doc;
  return {
    id,
    state: 'set-aside',
    queue,
    run,
    feed,
    learner,
    newcomer: doc.change?.create?.externalId ?? null,
    groups,
    tries: tries.length,
    error,
    retryAt,
    since,
    history: tries,
  };
}

function ofEntry(
  { _id, job, tries, error, at }: OutboxDoc,
  { feed, startedAt, createdAt }: Pick<RunDoc, 'feed' | 'startedAt' | 'createdAt'>,
): QueueItem {
  return {
    id: `${_id.run}-${_id.batch}`,
    state: error ? 'failed' : 'waiting',
    queue: job,
    run: _id.run,
    feed,
    learner: null,
    newcomer: null,
    groups: [],
    tries,
    error: error ?? null,
    retryAt: at,
    since: startedAt ?? createdAt,
    history: [],
  };
}

/** @throws {NotFound} */
export async function queueItem({ store }: Services, id: string): Promise<QueueItem> {
  const doc = await store.setAside.findOne({ _id: id });
  if (doc) return ofSetAside(doc);
  const key = /^(r[0-9]+)-([0-9]+)$/.exec(id);
  const entry = key && (await store.outbox.findOne({ _id: { run: key[1] as RunId, batch: Number(key[2]) } }));
  const run = entry && (await store.runs.findOne({ _id: entry._id.run }));
  if (entry && run) return ofEntry(entry, run);
  throw new NotFound(
    `Nothing of the name ${id} waits or is set aside. It may be done by now: \`muster queue list\` lists what is left.`,
  );
}

/** The items of these ids, each once. @throws {NotFound} where one is not there (any more). */
export async function namedItems(services: Services, ids: readonly string[]): Promise<QueueItem[]> {
  const items: QueueItem[] = [];
  for (const id of new Set(ids)) items.push(await queueItem(services, id));
  return items;
}

export interface RetryOutcome {
  readonly id: string;
  readonly done: boolean;
  readonly error: { readonly code: string; readonly message: string } | null;
}

/** Tries an item again, now and in this process. */
export async function retryItem(services: Services, item: QueueItem): Promise<RetryOutcome> {
  const { store, clock } = services;
  const { id } = item;
  if (item.state === 'set-aside') {
    const doc = await store.setAside.findOne({ _id: id });
    const error = doc ? await retrySetAside(services, doc) : null;
    return { id, done: error === null, error };
  }
  const entry = { run: item.run, batch: Number(id.slice(item.run.length + 1)) };
  try {
    const settles = item.queue === 'apply' ? await applyBatch(services, entry) : item.queue;
    if (settles) await settleBatch(services, entry, settles);
    await advanceRun(services, item.run);
    return { id, done: true, error: null };
  } catch (error) {
    const what = describe(error);
    await entryFailed(store, { _id: entry, job: item.queue }, what, { now: clock.now(), random: Math.random() });
    return { id, done: false, error: what };
  }
}

/** A run of the feed may say something else of the learner than the operation does. */
class FeedAtWork extends NotNow {
  constructor(feed: string, run: RunId) {
    super(
      `Run ${run} of feed ${feed} is at work and may say otherwise; nothing was changed. Try again when it has ended.`,
    );
  }
}

/**
 * Tries a set-aside operation once more. Null: it succeeded, and all is as if it had at first. Otherwise its error; while a
 * run of its feed is at work, no try is made or counted.
 */
export async function retrySetAside(services: Services, doc: SetAsideDoc): Promise<SetAsideDoc['error'] | null> {
  const { store } = services;
  const run = await store.runs.findOne({ _id: doc.run });
  const atWork =
    doc.job === 'apply' && doc.feed !== null && (await store.runs.findOne({ feed: doc.feed, working: true }));
  if (atWork) return describe(new FeedAtWork(doc.feed as string, atWork._id));
  try {
    await store.transaction(async (session) => {
      if (!(await takeSetAside(store, doc, session))) return;
      if (run && doc.job !== 'apply') await settleSetAside(services, session, doc);
      else if (run && doc.change) await applySetAside(services, session, run, doc.batch, doc.change);
      await recount(services, doc.run, session);
    });
    return null;
  } catch (error) {
    await retryFailed(services, doc, error);
    return describe(error);
  }
}

/**
 * Gives up set-aside operations, for a reason that the audit keeps; their feed looks at those learners again in its next
 * run. Gives the ids of those that it gave up: what was done or discarded by somebody else meanwhile is not among them.
 * @throws {NotFound | UsageError} before the first is given up: where one is not there, or is a batch that waits, which is
 * a run's, and goes on to its end.
 */
export async function discardItems(
  services: Services,
  ids: readonly string[],
  order: { by: string; reason: string },
): Promise<string[]> {
  if (order.reason.trim() === '') throw new UsageError('A discard needs a reason; nothing was changed. Give --reason.');
  const items = await namedItems(services, ids);
  const batch = items.find(({ state }) => state !== 'set-aside');
  if (batch) {
    throw new UsageError(
      `${batch.id} is a batch of a run, which goes on to its end, so it cannot be discarded; nothing was changed. Retry it, and undo the run afterwards if need be.`,
    );
  }
  const discarded: string[] = [];
  for (const { id } of items) if (await discardItem(services, id, order)) discarded.push(id);
  return discarded;
}

/** False: it is set aside no more. */
function discardItem(
  { store, clock }: Services,
  id: string,
  { by, reason }: { by: string; reason: string },
): Promise<boolean> {
  return store.transaction(async (session) => {
    const doc = await store.setAside.findOneAndDelete({ _id: id }, { session });
    if (!doc) return false;
    const at = clock.now();
    await recordAudit(store, session, {
      _id: { run: doc.run, batch: doc.batch, step: `discard-${doc.job}-${doc.learner}` },
      at,
      by,
      why: reason.trim(),
      learners: [doc.learner],
      detail: { job: doc.job, error: doc.error, tries: doc.tries.length },
      counts: { discarded: 1 },
    });
    if (doc.feed !== null) await lookAgainAt(store, doc.feed, [doc.learner], at, session);
    return true;
  });
}
