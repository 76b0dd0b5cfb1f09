import type { Change } from '../domain/change.ts';
import { UsageError } from '../domain/errors.ts';
import { emailKey, type GroupId, type LearnerId, MANUAL } from '../domain/ids.ts';
import { type PlanPart, partOf } from '../domain/planPart.ts';
import { LOOK_AGAIN, type RowTable, RowTableWriter } from '../feed/rows/table.ts';
import type { BatchDoc, Restore, RunDoc } from '../store/models.ts';
import type { Services } from '../store/services.ts';
import type { Store } from '../store/store.ts';
import { dropTable, writeTable } from '../store/tables.ts';
import { LearnerSet } from './learnerSet.ts';
import { loadTable } from './loadTable.ts';
import type { Outcome } from './outcome.ts';
import { PlanWriter } from './planWriter.ts';
import { attemptOf, type ReducedPlan } from './start.ts';
import { Tally } from './tally.ts';

/**
 * Writes the part of a held plan that a person approves as batches of a further attempt. The feed's next run looks
 * again at everybody of whom something was left out. Undefined: the run is not held any more.
 */
export async function reducePlan({ store }: Services, run: RunDoc, part: PlanPart): Promise<ReducedPlan | undefined> {
  if (run.kind === 'undo' && part.kind === 'only') {
    throw new UsageError(
      `Run ${run._id} is an undo, which has no rows to choose from; nothing was changed. Leave learners out instead (--except).`,
    );
  }
  const held = { _id: run._id, state: 'held' as const, attempt: run.attempt };
  const taken = await store.runs.findOneAndUpdate(held, { $inc: { parts: 1 } }, { returnDocument: 'after' });
  if (!taken) return undefined;
  const attempt = run.attempt + (taken.parts ?? 1);
  return new Reducing(store, run, part, attempt).write();
}

/** What `reducePlan` wrote, where the run was moved elsewhere meanwhile. */
export async function dropReduced(store: Store, run: RunDoc, { attempt, outcome }: ReducedPlan): Promise<void> {
  await store.batches.deleteMany({ _id: attemptOf({ _id: run._id, attempt }) });
  const { table } = outcome.applied ?? {};
  if (table && table !== (run.outcome as Outcome).applied.table) await dropTable(store, table);
}

/** What of a learner's grants and results lies in the part; null = nothing. The very same object where all of it does. */
function restoreOf(restore: Restore, part: PlanPart): Restore | null {
  if (part.kind === 'except') return part.learners.has(restore.learner) ? null : restore;
  const { grant, revoke, release = [], purged } = restore;
  if (part.kind === 'only' || revoke.length + release.length === 0) return restore;
  return grant.length + purged.length > 0 ? { ...restore, revoke: [], release: [] } : null;
}

class Reducing {
  readonly #store: Store;
  readonly #run: RunDoc;
  readonly #part: PlanPart;
  readonly #attempt: number;
  readonly #lookAgain = new LearnerSet();
  /** External IDs of those who are not created now. */
  readonly #notCreated = new Set<string>();
  #undoBatches = 0;
  /** Addresses that stay with their holders, so that nobody else can receive them. */
  readonly #kept = new Set<string>();

  constructor(store: Store, run: RunDoc, part: PlanPart, attempt: number) {
    this.#store = store;
    this.#run = run;
    this.#part = part;
    this.#attempt = attempt;
  }

  async write(): Promise<ReducedPlan> {
    const outcome = this.#run.outcome as Outcome;
    await this.#keepAddresses(outcome.releases);
    const writer = new PlanWriter(this.#store, this.#run._id, this.#attempt);
    const tally = new Tally(this.#run.feed ?? MANUAL);
    const used = new Set<GroupId>();
    let [changes, takenOut, named, created, left] = [0, 0, 0, 0, 0];
    for await (const batch of this.#batches()) {
      const some: Change[] = [];
      for (const change of batch.changes) {
        const kept = this.#keep(change);
        if (kept !== change) {
          takenOut += 1;
          this.#lookAgain.add(change.learner);
          if (!kept && change.create) {
            created += 1;
            this.#notCreated.add(change.create.externalId ?? '');
          }
          if (!kept && !change.create && change.rows) named += 1;
          if (!change.rows) left += 1;
        }
        if (!kept) continue;
        changes += 1;
        tally.add(kept, undefined);
        for (const { group, after } of kept.memberships) if (after.length > 0) used.add(group);
        some.push(kept);
      }
      if (this.#run.kind === 'undo') {
        const alone = await this.#writeUndo(batch, some);
        changes += alone.kept;
        takenOut += alone.takenOut;
      } else for (const change of some) await writer.add(change);
    }
    await writer.end();
    const { memberships } = outcome;
    const unchangedBefore = memberships.unchanged + memberships.removed + memberships.changed;
    const newGroups = usedGroups(outcome.newGroups, used);
    const { updated, reactivated, deactivated, added, removed, lost, windows } = tally;
    return {
      attempt: this.#attempt,
      batches: writer.batches + this.#undoBatches,
      outcome: {
        ...outcome,
        noChange: changes === 0 && newGroups.length === 0,
        learners: {
          created: tally.created,
          updated,
          reactivated,
          deactivated,
          unchanged: outcome.learners.unchanged + named,
        },
        groups: { created: newGroups.length },
        memberships: {
          added,
          removed,
          changed: windows,
          unchanged: unchangedBefore - removed - windows,
        },
        lost,
        ...(outcome.held && {
          held: { learners: outcome.held.learners + left - created, memberships: added - removed },
        }),
        newGroups,
        releases: outcome.releases.filter((release) => !this.#kept.has(release.emailKey)),
        ...(outcome.supersedes && { supersedes: await this.#superseded(outcome.supersedes) }),
        ...(outcome.applied && { applied: await this.#applied(outcome, newGroups.length) }),
        approved: { part: this.#part.kind, changes, takenOut },
      },
    };
  }

  /** Set-aside operations in whose place something comes now: not those of learners who are left out. */
  async #superseded(ids: readonly string[]): Promise<string[]> {
    const docs = await this.#store.setAside.find({ _id: { $in: [...ids] } }).toArray();
    return docs
      .filter(({ learner, change }) => {
        const newcomer = change?.create?.externalId;
        return !this.#lookAgain.has(learner) && !(newcomer !== undefined && this.#notCreated.has(newcomer));
      })
      .map(({ _id }) => _id);
  }

  #batches(): AsyncIterable<BatchDoc> {
    return this.#store.batches.find({ _id: attemptOf(this.#run) }).sort({ _id: 1 });
  }

  async *#changes(): AsyncGenerator<Change> {
    for await (const { changes } of this.#batches()) yield* changes;
  }

  /**
   * A batch of an undo as it is, without what is left out, since what a learner's changes and grants come to is settled
   * together: of whom the change waits, the grants and results do too. Returns how many learners it keeps, and leaves something out of, besides those of whom a change is kept or cut.
   */
  async #writeUndo(
    { restores: planned = [], ...batch }: BatchDoc,
    changes: Change[],
  ): Promise<{ kept: number; takenOut: number }> {
    const changed = new Set(changes.map(({ learner }) => learner));
    const waits = new Set(batch.changes.flatMap(({ learner }) => (changed.has(learner) ? [] : [learner])));
    const restores = planned.flatMap((one) => (waits.has(one.learner) ? [] : (restoreOf(one, this.#part) ?? [])));
    if (changes.length > 0 || restores.length > 0 || batch.overtaken) {
      this.#undoBatches += 1;
      const _id = { run: this.#run._id, batch: this.#attempt * 1_000_000 + this.#undoBatches };
      await this.#store.batches.insertOne({ ...batch, _id, changes, ...(restores.length > 0 && { restores }) });
    }
    const [whole, wholeRestores] = [new Set(changes), new Set(restores)];
    const cut = new Set(batch.changes.filter((change) => !whole.has(change)).map(({ learner }) => learner));
    return {
      kept: restores.filter(({ learner }) => !changed.has(learner)).length,
      takenOut: planned.filter((restore) => !wholeRestores.has(restore) && !cut.has(restore.learner)).length,
    };
  }

  /** Who is to receive an address that its holder does not give up now waits with all of the change. */
  #keep(change: Change): Change | null {
    const email = change.create?.email ?? change.fields.find(({ field }) => field === 'email')?.after;
    return email && this.#kept.has(emailKey(email)) ? null : partOf(change, this.#part);
  }

  async #keepAddresses(releases: Outcome['releases']): Promise<void> {
    for (let found = releases.length > 0; found; ) {
      found = false;
      const given = new Set<LearnerId>();
      for await (const change of this.#changes()) {
        if (this.#keep(change)?.fields.some(({ field }) => field === 'email')) given.add(change.learner);
      }
      for (const { learner, emailKey: key } of releases) {
        if (given.has(learner) || this.#kept.has(key)) continue;
        this.#kept.add(key);
        found = true;
      }
    }
  }

  async #applied({ applied, newGroups }: Outcome, groups: number): Promise<Outcome['applied']> {
    const keys = applied.keys - Number(newGroups.length > 0) + Number(groups > 0);
    const again = applied.again + this.#lookAgain.size;
    const planned = await loadTable(this.#store, applied);
    if (!planned) return { ...applied, keys, again };
    const table = `${this.#run._id}-${this.#attempt}`;
    const tableParts = await writeTable(this.#store, table, repack(planned, this.#lookAgain));
    return { ...applied, keys, again, table, tableParts };
  }
}

/** The table with rows that nothing matches for those at whom the next run must look, whether or not they had rows. */
function* repack(table: RowTable, lookAgain: LearnerSet): Generator<Uint8Array> {
  const full: Uint8Array[] = [];
  const writer = new RowTableWriter((part) => full.push(part));
  for (const learner of lookAgain) writer.add(LOOK_AGAIN.hashLow, LOOK_AGAIN.hashHigh, learner, 0);
  for (let row = 0; row < table.rows; row += 1) {
    if (!lookAgain.has(table.learner(row) as LearnerId)) writer.addFrom(table, row);
    yield* full.splice(0);
  }
  writer.end();
  yield* full;
}

/** Groups that are still needed, with those that they lie in. */
function usedGroups(groups: Outcome['newGroups'], used: ReadonlySet<GroupId>): Outcome['newGroups'] {
  const byExternalId = new Map(groups.map((group) => [group.externalId, group]));
  const needed = new Set(groups.filter(({ id }) => used.has(id)));
  for (const { parent } of needed) {
    const above = parent && byExternalId.get(parent);
    if (above) needed.add(above);
  }
  return groups.filter((group) => needed.has(group));
}
