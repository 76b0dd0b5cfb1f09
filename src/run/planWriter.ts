import type { Change, MembershipChange } from '../domain/change.ts';
import type { RunId } from '../domain/ids.ts';
import { type SettleKind, strongest } from '../domain/settle.ts';
import { withOwnTexts } from '../feed/text.ts';
import type { BatchDoc } from '../store/models.ts';
import type { Store } from '../store/store.ts';

/** Learners a batch: one transaction each. */
export const BATCH_SIZE = 1000;
/** Batch numbers of one try at reading; the next try starts above. */
const BATCHES_PER_ATTEMPT = 1_000_000;

type Kind = 'create' | SettleKind | 'fields';

/** Changes that wait for their batch to be full. */
interface OpenBatch {
  readonly changes: Change[];
  /** How many of them have strings of their own. */
  own: number;
  /** How many were there when the chunk before had been planned. */
  there: number;
}

/**
 * Writes a plan into the database as it grows: batches of changes of one kind, so that joiners are inserted by
 * one writer and no batch is settled by more than it needs. No learner is in two batches.
 */
export class PlanWriter {
  readonly #store: Store;
  readonly #run: RunId;
  readonly #first: number;
  readonly #open = new Map<Kind, OpenBatch>();
  /** The batch that is being written while the next one is planned. */
  #writing: Promise<unknown> = Promise.resolve();
  /** Batches written, in order. */
  batches = 0;

  constructor(store: Store, run: RunId, attempt: number) {
    this.#store = store;
    this.#run = run;
    this.#first = attempt * BATCHES_PER_ATTEMPT;
  }

  async add(change: Change): Promise<void> {
    const kind = change.create ? 'create' : (settleKindOf(change.memberships) ?? 'fields');
    const open = this.#open.get(kind) ?? { changes: [], own: 0, there: 0 };
    this.#open.set(kind, open);
    open.changes.push(change);
    if (open.changes.length >= BATCH_SIZE) await this.#flush(kind);
  }

  /**
   * Some rows have been planned. What waits for its batch since the chunk before is given strings of its own: a thousand
   * changes from all over a file would keep the text of half of it in memory.
   */
  endChunk(): void {
    for (const open of this.#open.values()) {
      const { changes } = open;
      for (; open.own < open.there; open.own += 1) changes[open.own] = withOwnTexts(changes[open.own] as Change);
      open.there = changes.length;
    }
  }

  /** Writes what is left. */
  async end(): Promise<void> {
    for (const kind of this.#open.keys()) await this.#flush(kind);
    await this.#writing;
  }

  async #flush(kind: Kind): Promise<void> {
    const changes = this.#open.get(kind)?.changes ?? [];
    this.#open.delete(kind);
    if (changes.length === 0) return;
    this.batches += 1;
    const settle = kind === 'fields' ? null : kind === 'create' ? settleKindOfAll(changes) : kind;
    const doc: BatchDoc = {
      _id: { run: this.#run, batch: this.#first + this.batches },
      settle,
      creates: kind === 'create',
      changes,
    };
    await this.#writing;
    this.#writing = this.#store.batches.insertOne(doc);
    // Whoever awaits it next is told; until then a failure is nobody's unhandled one.
    this.#writing.catch(() => undefined);
  }
}

/** The weakest settlement that does justice to these membership changes; null = they change no entitlement. */
export function settleKindOf(changes: readonly MembershipChange[]): SettleKind | null {
  let kind: SettleKind | null = null;
  for (const { before, after, courses } of changes) {
    const needs: SettleKind = courses === 'purge' ? 'purge' : courses || before.length > 0 ? 'expire' : 'subscribe';
    if (after.length === 0 && before.length === 0) continue;
    kind = kind ? strongest(kind, needs) : needs;
  }
  return kind;
}

function settleKindOfAll(changes: readonly Change[]): SettleKind | null {
  return changes.reduce<SettleKind | null>((kind, change) => {
    const needs = settleKindOf(change.memberships);
    return needs && kind ? strongest(kind, needs) : (needs ?? kind);
  }, null);
}
