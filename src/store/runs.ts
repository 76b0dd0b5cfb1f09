import type { RunId, SourceName } from '../domain/ids.ts';
import { NEWS } from '../domain/news.ts';
import { isAtRest, mayFollow, type RunState } from '../domain/run.ts';
import type { RunDoc } from './models.ts';
import { type Session, type Store, within } from './store.ts';

/** The fields of a run that a change of state may write with it. */
export type RunFields = Partial<Omit<RunDoc, '_id' | 'state' | 'history'>>;

/**
 * Compare-and-set of a run's state (R22): true where this call made the change. False: it was in another state
 * (or another try's) by now, and nothing was written.
 */
export async function moveRun(
  store: Store,
  run: Pick<RunDoc, '_id' | 'state' | 'kind' | 'preview'> & { attempt?: number },
  to: RunState,
  {
    by,
    at,
    note,
    set,
    unset,
    session,
  }: { by: string; at: Date; note?: string; set?: RunFields; unset?: (keyof RunFields)[]; session?: Session },
): Promise<boolean> {
  if (!mayFollow(run.state, to)) return false;
  const tells = run.kind === 'feed' && !run.preview && NEWS.includes(to);
  const filter = { _id: run._id, state: run.state, ...(run.attempt !== undefined && { attempt: run.attempt }) };
  const { modifiedCount } = await store.runs.updateOne(
    filter,
    {
      $set: { ...set, state: to, ...(tells && { tell: at }) },
      $push: { history: { state: to, at, by, ...(note && { note }) } },
      ...(unset && unset.length > 0 && { $unset: Object.fromEntries(unset.map((key) => [key, ''])) }),
    },
    within(session),
  );
  if (modifiedCount === 1 && isAtRest(to, run.preview)) await store.tellRested(run._id, session);
  return modifiedCount === 1;
}

/** Stores a run whose work is done in the same transaction. */
export async function insertEnded(store: Store, run: RunDoc, session: Session): Promise<void> {
  await store.runs.insertOne(run, { session });
  await store.tellRested(run._id, session);
}

/**
 * The reader of a run is alive. A lease that was ended stays so: this may come late, from before the database was away,
 * and nobody would read the run until what it brought back had run out.
 */
export async function renewLease(store: Store, { _id, attempt, lease }: RunDoc, until: Date): Promise<void> {
  if (!lease) return;
  const mine = { _id, state: 'reading', attempt, 'lease.owner': lease.owner } as const;
  await store.runs.updateOne(mine, { $set: { 'lease.until': until } });
}

/** Nobody reads the run any more, and the next to look finds it so, without waiting for its lease to run out. */
export async function endLease(store: Store, { _id, attempt, lease }: RunDoc): Promise<void> {
  if (lease) await store.runs.updateOne({ _id, attempt, 'lease.owner': lease.owner }, { $unset: { lease: '' } });
}

export function readRun(store: Store, id: RunId): Promise<RunDoc | null> {
  return store.runs.findOne({ _id: id });
}

export function latestRuns(
  store: Store,
  { feed, state, limit }: { feed?: SourceName; state?: RunState; limit: number },
): Promise<RunDoc[]> {
  return store.runs
    .find({ ...(feed !== undefined && { feed }), ...(state && { state }) })
    .sort({ createdAt: -1, _id: -1 })
    .limit(limit)
    .toArray();
}

/** Memberships that the feed's runs have taken away since then, approved ones included (limits that sum over time). A run counts when it was applied, however long it had been held. */
export async function lostSince(store: Store, feed: SourceName, since: Date): Promise<number> {
  const [sum] = await store.runs
    .aggregate<{ lost: number }>([
      { $match: { feed, history: { $elemMatch: { state: 'applying', at: { $gte: since } } } } },
      { $group: { _id: null, lost: { $sum: '$outcome.lost' } } },
    ])
    .toArray();
  return sum?.lost ?? 0;
}

/** What the feeds hold together and their applied runs took away since then; undefined where there is one feed alone. */
export async function lostByAllSince(
  store: Store,
  since: Date,
): Promise<{ memberships: number; lost24h: number } | undefined> {
  const feeds = await store.feeds.find({}, { projection: { held: 1 } }).toArray();
  if (feeds.length < 2) return undefined;
  const lost = await Promise.all(feeds.map(({ _id }) => lostSince(store, _id, since)));
  const sum = (figures: readonly number[]) => figures.reduce((all, figure) => all + figure, 0);
  return { memberships: sum(feeds.map(({ held }) => held.memberships)), lost24h: sum(lost) };
}

/** A newer plan takes the place of what is held of the same feed. */
export function supersedeHeld(store: Store, by: RunDoc, at: Date): Promise<void> {
  return supersede(store, { feed: by.feed, kind: 'feed', _id: { $ne: by._id } }, { by: by._id, at });
}

/** Nothing of those of these runs that are held will be applied. `by`: what takes their place. */
export async function supersede(
  store: Store,
  which: { [Key in 'feed' | 'kind' | 'undoes']?: RunDoc[Key] } & { _id?: { $ne: RunId } },
  { by, at }: { by: string; at: Date },
): Promise<void> {
  const projection = { state: 1, kind: 1, preview: 1, attempt: 1 } as const;
  const held = await store.runs.find({ ...which, state: 'held' }, { projection }).toArray();
  for (const run of held) await moveRun(store, run, 'superseded', { by, at, set: { finishedAt: at } });
}

/** Why the run changes what it changes, in the audit: the feed, or the command. */
export function whyOf({ kind, feed, source }: Pick<RunDoc, 'kind' | 'feed' | 'source'>): string {
  return kind === 'feed' ? (feed ?? kind) : source.name;
}
