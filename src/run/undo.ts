import { applyChange, asChangeOf } from '../domain/applyChange.ts';
import type { Change, FieldChange } from '../domain/change.ts';
import { entitledCourses } from '../domain/entitlement.ts';
import { NotNow, UsageError } from '../domain/errors.ts';
import { DEFAULT_LIMITS, guard } from '../domain/guard.ts';
import { emailKey, type GroupId, type LearnerId, MANUAL, type RunId } from '../domain/ids.ts';
import type { Learner } from '../domain/learner.ts';
import { type SettleKind, strongest } from '../domain/settle.ts';
import type { Structure } from '../domain/structure.ts';
import { undoChange } from '../domain/undo.ts';
import { policyOf } from '../settings/feed.ts';
import { newRunId } from '../store/counters.ts';
import { isDuplicateKey } from '../store/failures.ts';
import { readFeedDoc, settingsOf } from '../store/feeds.ts';
import { learnersByEmail, learnersById } from '../store/learners.ts';
import type { BatchDoc, OvertakenDoc, Restore, RunDoc } from '../store/models.ts';
import { ofRun } from '../store/outbox.ts';
import { lostSince, moveRun, readRun, supersede } from '../store/runs.ts';
import type { Services } from '../store/services.ts';
import type { Store } from '../store/store.ts';
import { readStructure } from '../store/structure.ts';
import { finishRun } from './advance.ts';
import { chunks } from './chunks.ts';
import type { Release } from './emails.ts';
import { losingGroups } from './losingGroups.ts';
import { blankRun } from './manual.ts';
import { NO_SUBSCRIPTIONS, type Outcome, type Problem } from './outcome.ts';
import { BATCH_SIZE, settleKindOf } from './planWriter.ts';
import { attemptOf, startApplying } from './start.ts';
import { Tally } from './tally.ts';
import { type PlannedRestores, undoStructure } from './undoStructure.ts';

export interface UndoOrder {
  readonly run: RunId;
  readonly by: string;
  /** Let the plan pass the guard. */
  readonly approve?: boolean;
}

/**
 * Turns a run back (R25): a new run, whose plan undoes each change that nothing newer has overtaken, under the limits of
 * the feed. It comes back `applying` (its batches are to be enqueued, or drained), `held`, or `completed` where nothing
 * is left to turn back. What was overtaken stands in the plan.
 */
export async function undoRun(services: Services, { run: id, by, approve = false }: UndoOrder): Promise<RunDoc> {
  const { store } = services;
  const run = await undoable(services, id);
  const undoing = new Undoing(services, run, await newRunId(store));
  if (run.kind === 'structure') return undoStructure(services, { run, by, restores: await undoing.planRestores() });
  const made = await undoing.plan(by, approve);
  await supersedeOlder(services, made);
  const outcome = made.outcome as Outcome;
  if (outcome.noChange) await finishRun(services, made);
  else if (outcome.guard.held && !approve) {
    await moveRun(store, made, 'held', { by: 'guard', at: services.clock.now() });
  } else await start(services, made, by);
  return (await readRun(store, made._id)) as RunDoc;
}

async function undoable({ store }: Services, id: RunId): Promise<RunDoc> {
  const run = await readRun(store, id);
  const refuse = (why: string) => new UsageError(`Run ${id} ${why}, so there is nothing to undo; nothing was changed.`);
  if (!run) throw refuse('does not exist');
  if (run.preview) throw refuse('is a preview');
  if (run.state !== 'completed') throw refuse(`is ${run.state}, not completed`);
  if (run.kind === 'window' && !(await hasPurged(store, run)))
    throw refuse('opened and closed windows, as time will again');
  return run;
}

/** Did it delete results? They are put back also where time has gone on. */
async function hasPurged(store: Store, { _id }: RunDoc): Promise<boolean> {
  const filter = { ...ofRun(_id), 'counts.purged': { $gt: 0 } };
  return (await store.audit.findOne(filter as never, { projection: { _id: 1 } })) !== null;
}

async function start(services: Services, run: RunDoc, by: string): Promise<void> {
  const note = (run.outcome as Outcome).guard.held ? 'approved beforehand' : undefined;
  try {
    await startApplying(services, run, by, note);
  } catch (error) {
    if (!isDuplicateKey(error)) throw error;
    const now = services.clock.now();
    await moveRun(services.store, run, 'cancelled', { by, at: now, set: { finishedAt: now } });
    const other = run.feed === null ? 'Another undo' : `A run of feed ${run.feed}`;
    throw new NotNow(`${other} is at work; nothing was changed. Undo run ${run.undoes} when it has ended.`);
  }
}

/** An undo is begun right after it is planned; what is `planned` for longer, ms, has lost its process. */
const ABANDONED_AFTER = 60_000;

/** Ends undos that nobody will begin: their plans were made from what is so no more, and erasures wait for their end. */
export async function endAbandonedUndos({ store, clock }: Services): Promise<void> {
  const at = clock.now();
  const createdAt = { $lte: new Date(at.getTime() - ABANDONED_AFTER) };
  for (const run of await store.runs.find({ kind: 'undo', state: 'planned', createdAt }).toArray()) {
    const note = 'its process ended before it began; nothing was changed';
    await moveRun(store, run, 'cancelled', { by: 'worker', at, note, set: { finishedAt: at } });
  }
}

async function supersedeOlder({ store, clock }: Services, { _id, undoes }: RunDoc): Promise<void> {
  await supersede(store, { kind: 'undo', undoes: undoes as RunId, _id: { $ne: _id } }, { by: _id, at: clock.now() });
}

class Undoing {
  readonly #services: Services;
  readonly #run: RunDoc;
  readonly #id: RunId;
  readonly #tally: Tally;
  readonly #restores = new Map<LearnerId, Required<Restore>>();
  readonly #releases: Release[] = [];
  #batches = 0;
  #changes = 0;
  #overtaken = 0;

  constructor(services: Services, run: RunDoc, id: RunId) {
    this.#services = services;
    this.#run = run;
    this.#id = id;
    this.#tally = new Tally(run.kind === 'manual' || run.feed === null ? MANUAL : run.feed);
  }

  /** Writes the batches, then the run that owns them. */
  async plan(by: string, approve: boolean): Promise<RunDoc> {
    const { store, clock } = this.#services;
    const structure = await readStructure(store);
    const instead = await this.#readAudit();
    for await (const batch of store.batches.find({ _id: attemptOf(this.#run) }).sort({ _id: 1 })) {
      const changes = batch.changes.map((change) => actualChange(change, instead));
      await this.#undoBatch(changes, structure);
    }
    await this.#writeRestores();
    const now = clock.now();
    const run: RunDoc = {
      ...blankRun(this.#id, 'undo', by, `undo ${this.#run._id}`, now),
      state: 'planned',
      history: [{ state: 'planned', at: now, by }],
      undoes: this.#run._id,
      feed: this.#run.feed,
      attempt: 1,
      approve,
      batches: this.#batches,
      outcome: await this.#outcome(now),
    };
    await store.runs.insertOne(run);
    return run;
  }

  /** Writes batches for grants and purges alone: of a change of structure there is nothing else to a learner. */
  async planRestores(): Promise<PlannedRestores> {
    await this.#readAudit();
    await this.#writeRestores();
    return { run: this.#id, batches: this.#batches, problems: this.#problems() };
  }

  async #writeRestores(): Promise<void> {
    for (const some of chunks([...this.#restores.values()], BATCH_SIZE)) await this.#write([], some, []);
  }

  /** Grants and purges of the run go back too; learners whom another source had made go by their real numbers. */
  async #readAudit(): Promise<Map<LearnerId, LearnerId>> {
    const { store } = this.#services;
    const instead = new Map<LearnerId, LearnerId>();
    for await (const entry of store.audit.find(ofRun(this.#run._id))) {
      for (const [planned, actual] of entry.instead ?? []) instead.set(planned, actual);
      for (const { learner, events } of entry.events ?? []) {
        for (const { kind, course } of events) {
          // Of windows, what time has opened and closed is not turned back.
          if (this.#run.kind === 'window' && kind !== 'purged') continue;
          if (kind === 'granted') this.#restore(learner).revoke.push(course);
          else if (kind === 'kept') this.#restore(learner).release.push(course);
          else if (kind === 'revoked') this.#restore(learner).grant.push(course);
          else if (kind === 'purged') this.#restore(learner).purged.push(course);
        }
      }
    }
    return instead;
  }

  #restore(learner: LearnerId): Required<Restore> {
    let restore = this.#restores.get(learner);
    if (!restore) {
      restore = { learner, grant: [], revoke: [], release: [], purged: [] };
      this.#restores.set(learner, restore);
    }
    return restore;
  }

  async #undoBatch(changes: readonly Change[], structure: Structure): Promise<void> {
    const isGroup = (group: GroupId) => structure.group(group) !== undefined;
    const ids = changes.map(({ learner }) => learner);
    const live = await learnersById(this.#services.store, ids);
    const overtaken: OvertakenDoc[] = [];
    const undone: Change[] = [];
    for (const change of changes) {
      const learner = live.get(change.learner);
      if (!learner) continue;
      const { change: back, overtaken: left } = undoChange(change, learner, isGroup);
      overtaken.push(...left.map((part) => ({ learner: learner.id, ...part })));
      if (back) undone.push(back);
    }
    const possible = await this.#withoutTakenEmails(undone, overtaken);
    for (const change of possible) this.#tally.add(change, live.get(change.learner));
    const restores = ids.flatMap((id) => this.#restores.get(id) ?? []);
    const back = new Map(possible.map((change) => [change.learner, change]));
    for (const restore of restores) {
      this.#restores.delete(restore.learner);
      this.#keepGrants(restore, live.get(restore.learner), back.get(restore.learner), structure, overtaken);
    }
    await this.#write(possible, restores, overtaken);
  }

  /** A grant of `keep` stays where the membership that it stands for does not come back: nothing else would give the course. */
  #keepGrants(
    restore: Required<Restore>,
    live: Learner | undefined,
    change: Change | undefined,
    structure: Structure,
    overtaken: OvertakenDoc[],
  ): void {
    if (restore.release.length === 0 || !live) return;
    const { memberships } = change ? applyChange(live, change) : live;
    const given = entitledCourses(memberships, structure, this.#services.clock.now());
    const why = 'no group gives the course, so the direct grant stays';
    for (const course of restore.release) {
      if (!given.has(course)) overtaken.push({ learner: live.id, course, why });
    }
    restore.release = restore.release.filter((course) => given.has(course));
  }

  /** An old address that somebody else has by now stays with them, unless this undo takes it from them. */
  async #withoutTakenEmails(changes: readonly Change[], overtaken: OvertakenDoc[]): Promise<Change[]> {
    const wanted = changes.flatMap(({ fields }) =>
      fields.flatMap(({ field, after }) => (field === 'email' && after ? [after] : [])),
    );
    const holders =
      wanted.length > 0 ? await learnersByEmail(this.#services.store, wanted) : new Map<string, Learner>();
    const possible: Change[] = [];
    for (const change of changes) {
      const email = change.fields.find(({ field }) => field === 'email')?.after;
      const holder = email === undefined ? undefined : holders.get(emailKey(email));
      if (!email || !holder || holder.id === change.learner) {
        possible.push(change);
      } else if (await this.#givesUp(holder, new Set([change.learner]))) {
        this.#releases.push({ learner: holder.id, emailKey: emailKey(email) });
        possible.push(change);
      } else {
        overtaken.push({ learner: change.learner, field: 'email', why: 'another learner holds the address by now' });
        possible.push({ ...change, fields: change.fields.filter(({ field }) => field !== 'email') });
      }
    }
    return possible;
  }

  /**
   * Whether this undo gives the holder another address: not where somebody else keeps the one that the holder had before.
   * `asking`: who waits for this answer; two who ask for each other's address swap them.
   */
  async #givesUp(holder: Learner, asking: ReadonlySet<LearnerId>): Promise<boolean> {
    if (asking.has(holder.id)) return true;
    const given = await this.#emailGivenTo(holder);
    if (!given?.before) return given !== undefined;
    const next = (await learnersByEmail(this.#services.store, [given.before])).get(emailKey(given.before));
    if (!next || next.id === holder.id) return true;
    return this.#givesUp(next, new Set([...asking, holder.id]));
  }

  /** The change by which the undone run gave the holder the present address. */
  async #emailGivenTo(holder: Learner): Promise<FieldChange | undefined> {
    const gave = { learner: holder.id, fields: { $elemMatch: { field: 'email', after: holder.email } } };
    const filter = { _id: attemptOf(this.#run), changes: { $elemMatch: gave } };
    const projection = { changes: { $elemMatch: gave } };
    const batch = await this.#services.store.batches.findOne(filter as never, { projection });
    return batch?.changes[0]?.fields.find(({ field }) => field === 'email');
  }

  async #write(changes: Change[], restores: readonly Required<Restore>[], overtaken: OvertakenDoc[]): Promise<void> {
    const { store } = this.#services;
    const kept = await this.#stillKept(restores, overtaken);
    this.#overtaken += overtaken.length;
    this.#changes += changes.length + kept.length;
    if (changes.length === 0 && kept.length === 0 && overtaken.length === 0) return;
    this.#batches += 1;
    const batch: BatchDoc = {
      _id: { run: this.#id, batch: 1_000_000 + this.#batches },
      settle: settleOf(changes, kept),
      creates: false,
      changes,
      ...(kept.length > 0 && { restores: kept }),
      ...(overtaken.length > 0 && { overtaken }),
    };
    await store.batches.insertOne(batch);
  }

  /** What is left to put back; purged results that are gone for good are told, and those that newer ones stand in for. */
  async #stillKept(restores: readonly Required<Restore>[], overtaken: OvertakenDoc[]): Promise<Restore[]> {
    const { store } = this.#services;
    const left: Restore[] = [];
    for (const restore of restores) {
      const { learner } = restore;
      const ids = restore.purged.map((course) => ({ learner, course, run: this.#run._id }));
      const docs = ids.length > 0 ? await store.purged.find({ _id: { $in: ids } }).toArray() : [];
      const results = docs.flatMap(({ _id, progress }) => (progress ? [{ learner, course: _id.course }] : []));
      const newer = results.length > 0 ? await store.progress.find({ _id: { $in: results } }).toArray() : [];
      const overtook = new Set(newer.map(({ _id }) => _id.course));
      const kept = new Set(docs.map(({ _id }) => _id.course));
      for (const course of restore.purged) {
        if (!kept.has(course)) overtaken.push({ learner, course, why: 'its results are gone for good' });
        else if (overtook.has(course)) overtaken.push({ learner, course, why: 'there are newer results, which stay' });
      }
      const purged = restore.purged.filter((course) => kept.has(course) && !overtook.has(course));
      const { grant, revoke, release } = restore;
      if (purged.length + grant.length + revoke.length + release.length > 0) left.push({ ...restore, purged });
    }
    return left;
  }

  #problems(): Problem[] {
    const message = 'What was changed since the run stays as it is; `muster runs changes` lists it.';
    return this.#overtaken > 0 ? [{ row: null, code: 'overtaken', message, count: this.#overtaken }] : [];
  }

  async #outcome(now: Date): Promise<Partial<Outcome>> {
    const { store } = this.#services;
    const feed = this.#run.feed === null ? null : await readFeedDoc(store, this.#run.feed);
    const tally = this.#tally;
    const limits = feed ? policyOf(settingsOf(feed)).limits : DEFAULT_LIMITS;
    const groups = await losingGroups(store, await readStructure(store), tally, limits);
    const lastRows = feed?.applied?.rows ?? null;
    const breaches = guard(
      {
        held: feed?.held ?? { learners: 0, memberships: 0 },
        membershipsRemoved: tally.taken,
        membershipsLost: tally.lost,
        membershipsAdded: tally.added,
        emptiedGroups: groups.filter(({ left }) => left === 0),
        groups,
        deactivated: tally.deactivated,
        created: 0,
        identityChanged: tally.identityChanged,
        purged: 0,
        rows: { read: lastRows ?? 1, rejected: 0, unrecognised: 0 },
        lastRows,
        removals: tally.taken > 0 || tally.deactivated > 0,
        lost24h: feed ? await lostSince(store, feed._id, new Date(now.getTime() - DAY)) : 0,
        lost7d: feed ? await lostSince(store, feed._id, new Date(now.getTime() - 7 * DAY)) : 0,
      },
      limits,
    );
    const { updated, reactivated, deactivated, added, removed } = tally;
    return {
      noChange: this.#changes === 0,
      learners: { created: 0, updated, reactivated, deactivated, unchanged: 0 },
      memberships: { added, removed, changed: 0, unchanged: 0 },
      subscriptions: { ...NO_SUBSCRIPTIONS },
      guard: { held: breaches.length > 0, breaches },
      problems: this.#problems(),
      lost: tally.lost,
      newGroups: [],
      releases: this.#releases,
      feedRevision: feed?.revision ?? 0,
      emptied: ((this.#run.outcome as Partial<Outcome> | undefined)?.newGroups ?? []).map(({ id }) => id),
    };
  }
}

const DAY = 86_400_000;

/** A learner whom another source had made was updated, with no record of what the fields were: they stay. */
function actualChange(change: Change, instead: ReadonlyMap<LearnerId, LearnerId>): Change {
  const learner = instead.get(change.learner);
  return learner === undefined ? change : { ...asChangeOf(learner, change), fields: [] };
}

function settleOf(changes: readonly Change[], restores: readonly Restore[]): SettleKind | null {
  const kinds: (SettleKind | null)[] = changes.map(({ memberships }) => settleKindOf(memberships));
  for (const { revoke } of restores) kinds.push(revoke.length > 0 ? 'expire' : 'subscribe');
  return kinds.reduce((all, kind) => (all && kind ? strongest(all, kind) : (all ?? kind)), null);
}
