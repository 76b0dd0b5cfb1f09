import { rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import type { Retention } from '../settings/retention.ts';
import type { RunDoc } from '../store/models.ts';
import { ofRun } from '../store/outbox.ts';
import type { Services } from '../store/services.ts';
import type { Session, Store } from '../store/store.ts';
import { dropTable, runOfTable } from '../store/tables.ts';
import { dropCopies } from './copies.ts';
import type { Outcome } from './outcome.ts';

/** How often somebody looks, ms. */
const EVERY = 3_600_000;
/** Runs of each kind that one round sees to. */
const AT_ONCE = 100;
const DAY = 86_400_000;

/**
 * Takes away what has been kept for long enough, a bounded number of runs at a time. Of several workers one alone does
 * it, once an hour, and again at the next look while there is more. What was applied stays, since undo, `why`, `--at` and the
 * chain of the audit are read from it; so does what the next run of a feed compares with
 * (docs/decisions/0032-retention.md). Returns how many runs it saw to.
 */
export async function endRetention(services: Services, retention: Retention): Promise<number> {
  const { store, clock } = services;
  const now = clock.now();
  const due = {
    _id: 'retention',
    $or: [{ at: { $exists: false } }, { at: { $lte: new Date(now.getTime() - EVERY) } }],
  };
  await store.meta.updateOne({ _id: 'retention' }, { $setOnInsert: { at: new Date(0) } }, { upsert: true });
  if ((await store.meta.updateOne(due, { $set: { at: now } })).modifiedCount === 0) return 0;
  const before = (days: number) => new Date(now.getTime() - days * DAY);
  const done = [
    await dropRuns(store, before(retention.runs)),
    await dropRejected(store, before(retention.rejectedRows)),
    await dropFiles(store, before(retention.uploads)),
    await dropCopies(store, AT_ONCE),
  ];
  if (done.includes(AT_ONCE)) await store.meta.updateOne({ _id: 'retention' }, { $set: { at: new Date(0) } });
  return done.reduce((sum, count) => sum + count, 0);
}

async function dropRuns(store: Store, before: Date): Promise<number> {
  const nothing = {
    kind: { $in: ['feed', 'undo'] as RunDoc['kind'][] },
    'history.state': { $ne: 'applying' },
    $or: [
      { state: { $in: ['failed', 'cancelled', 'rejected', 'superseded'] as RunDoc['state'][] } },
      { state: 'planned' as const, preview: true },
      { state: 'completed' as const, 'outcome.noChange': true },
    ],
  };
  const runs = await store.runs
    .find({ ...(await over(store, before)), ...nothing } as never)
    .limit(AT_ONCE)
    .toArray();
  for (const run of runs) {
    const { _id, attempt } = run;
    await store.rejected.deleteMany(ofRun(_id));
    await store.batches.deleteMany(ofRun(_id));
    for (let one = 1; one <= attempt; one += 1) await dropTable(store, `${_id}-${one}`);
    await store.transaction(async (session) => {
      const { deletedCount } = await store.runs.deleteOne({ _id }, { session });
      if (deletedCount === 1) await keepRows(store, session, run);
    });
  }
  return runs.length;
}

/** What a completed run read stays counted with its feed. */
async function keepRows(store: Store, session: Session, { kind, state, feed, outcome }: RunDoc): Promise<void> {
  if (kind !== 'feed' || state !== 'completed' || feed === null || !outcome) return;
  const { read, accepted, rejected } = (outcome as Outcome).rows;
  const rows = { 'past.read': read, 'past.accepted': accepted, 'past.rejected': rejected };
  await store.feeds.updateOne({ _id: feed }, { $inc: rows }, { session });
}

async function dropRejected(store: Store, before: Date): Promise<number> {
  const kept = { rejectedLayout: { $exists: true } };
  const runs = await store.runs
    .find({ ...(await over(store, before)), ...kept })
    .limit(AT_ONCE)
    .toArray();
  for (const { _id } of runs) {
    await store.rejected.deleteMany(ofRun(_id));
    await store.runs.updateOne({ _id }, { $unset: { rejectedLayout: '' } });
  }
  return runs.length;
}

/** Runs that have ended and are this old, without those with which the next run of a feed compares. */
async function over(store: Store, before: Date) {
  const feeds = await store.feeds.find({ applied: { $exists: true } }, { projection: { applied: 1 } }).toArray();
  const compared = feeds.flatMap(({ applied }) => (applied ? [applied.run, runOfTable(applied.table)] : []));
  return { _id: { $nin: compared }, createdAt: { $lt: before }, finishedAt: { $ne: null } };
}

/** A plan that goes stale without its file cannot be made anew: the file is to be handed in again. */
async function dropFiles(store: Store, before: Date): Promise<number> {
  const here = { $or: [{ 'source.host': hostname() }, { 'source.host': { $exists: false } }] };
  const held = {
    state: 'held' as const,
    createdAt: { $lt: before },
    'source.temporary': true,
    'source.path': { $exists: true },
  };
  const runs = await store.runs
    .find({ ...held, ...here })
    .limit(AT_ONCE)
    .toArray();
  for (const { _id, source } of runs) {
    if (source.path !== undefined) await rm(dirname(source.path), { recursive: true, force: true });
    await store.runs.updateOne({ _id }, { $unset: { 'source.path': '' } });
  }
  return runs.length;
}
