import { ROW_WORDS, RowMatcher } from './matcher.ts';

const ROW_BYTES = 4 * ROW_WORDS;
/** Bytes of one part at most: whole rows of some 1 MB. */
export const PART_BYTES = ROW_BYTES * Math.floor((1024 * 1024) / ROW_BYTES);
/** Where in a row its learner stands. */
const LEARNER_BYTE = 8;
/** Learners have numbers below this: the two bits above are flags. */
const MOST_LEARNERS = 2 ** 30;
/** Flag: an equal row stands earlier in the file. */
export const REPEATED = 1;
/** Flag: the row says that its learner has left. */
export const LEFT = 2;
/**
 * The hash of a table row that no row of a file matches, so that the next run looks at its learner again (R21). No
 * kernel gives it to a row.
 */
export const LOOK_AGAIN = { hashLow: 0, hashHigh: 0 } as const;

/**
 * The rows of the last applied run in file order, 12 bytes each: hash low, hash high, and learner with flags (the two
 * highest bits), as 32-bit little-endian words (as every machine that Muster runs on has them). Rows that are made
 * otherwise are another `FORMAT` of store/tables.ts.
 */
export class RowTable {
  readonly #words: Uint32Array;

  private constructor(words: Uint32Array) {
    this.#words = words;
  }

  /** Of what a `RowTableWriter` made; a part may begin and end anywhere between two rows. */
  static fromParts(parts: readonly Uint8Array[]): RowTable {
    const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) at = put(part, bytes, at);
    return new RowTable(new Uint32Array(bytes.buffer));
  }

  /** As `fromParts`, with no more than one part in memory beside the table. `most`: how many parts come, at most. */
  static async gather(parts: AsyncIterable<Uint8Array>, most: number): Promise<RowTable> {
    const bytes = new Uint8Array(most * PART_BYTES);
    let at = 0;
    for await (const part of parts) at = put(part, bytes, at);
    return new RowTable(new Uint32Array(bytes.buffer, 0, at / 4));
  }

  get rows(): number {
    return this.#words.length / ROW_WORDS;
  }

  hashLow(row: number): number {
    return this.#word(row, 0);
  }

  hashHigh(row: number): number {
    return this.#word(row, 1);
  }

  /** Is this no row of a file, but the wish to look at its learner again? */
  isMark(row: number): boolean {
    return this.#word(row, 0) === LOOK_AGAIN.hashLow && this.#word(row, 1) === LOOK_AGAIN.hashHigh;
  }

  /** Number of the learner whom the row speaks of. */
  learner(row: number): number {
    return this.#word(row, 2) & (MOST_LEARNERS - 1);
  }

  /** A sum of flags, see `REPEATED` and `LEFT`. */
  flags(row: number): number {
    return this.#word(row, 2) >>> 30;
  }

  /** The words of so many rows, as a view. */
  words(row: number, count: number): Uint32Array {
    return this.#words.subarray(row * ROW_WORDS, (row + count) * ROW_WORDS);
  }

  /** For one pass over a file; the table itself stays as it is. */
  matcher(): RowMatcher {
    return new RowMatcher(this.#words);
  }

  #word(row: number, word: number): number {
    const value = this.#words[row * ROW_WORDS + word];
    if (value === undefined) throw new RangeError(`The row table has ${this.rows} rows, and no row ${row}.`);
    return value;
  }
}

function put(part: Uint8Array, target: Uint8Array, at: number): number {
  if (part.length % ROW_BYTES !== 0) {
    throw new RangeError(`A part of the row table has ${part.length} bytes, which are no whole rows of ${ROW_BYTES}.`);
  }
  target.set(part, at);
  return at + part.length;
}

/** Makes the parts of a table. Where `emit` takes each part as soon as it is full, no more than one is in memory. */
export class RowTableWriter {
  rows = 0;
  readonly #parts: Uint8Array[] = [];
  readonly #emit: (part: Uint8Array) => void;
  #part: Uint32Array = new Uint32Array(PART_BYTES / 4);
  #spare: Uint32Array | undefined;
  #filled = 0;

  constructor(emit?: (part: Uint8Array) => void) {
    this.#emit = emit ?? ((part) => this.#parts.push(part));
  }

  /** @throws {RangeError} for the number of a learner from 2³⁰ on. */
  add(hashLow: number, hashHigh: number, learner: number, flags: number): void {
    if (learner >= MOST_LEARNERS) throw new RangeError(`Learner ${learner} is beyond what a row table can name.`);
    const part = this.#part;
    part[this.#filled++] = hashLow;
    part[this.#filled++] = hashHigh;
    part[this.#filled++] = learner | (flags << 30);
    this.rows++;
    if (this.#filled === part.length) this.end();
  }

  /** So many rows as they stand one behind the other in another table. */
  addFrom(table: RowTable, row: number, count = 1): void {
    // Rows of a shuffled file come one by one: a view of each would cost more than the row.
    if (count === 1) {
      this.add(table.hashLow(row), table.hashHigh(row), table.learner(row), table.flags(row));
      return;
    }
    for (let from = row; from < row + count; ) {
      const some = Math.min(row + count - from, (this.#part.length - this.#filled) / ROW_WORDS);
      this.#part.set(table.words(from, some), this.#filled);
      this.#filled += some * ROW_WORDS;
      this.rows += some;
      from += some;
      if (this.#filled === this.#part.length) this.end();
    }
  }

  /** Completes the last part, if anything is in it. */
  end(): void {
    if (this.#filled === 0) return;
    this.#emit(new Uint8Array(this.#part.buffer, 0, 4 * this.#filled));
    this.#part = this.#spare ?? new Uint32Array(PART_BYTES / 4);
    this.#spare = undefined;
    this.#filled = 0;
  }

  /** Gives back a part that nobody looks at any more, for the next one to be made in. */
  reuse(part: Uint8Array): void {
    this.#spare = new Uint32Array(part.buffer);
  }

  /** All parts, the last one completed; none of those that went to `emit`. */
  parts(): readonly Uint8Array[] {
    this.end();
    return this.#parts;
  }
}

/** A copy of a part of a table in which these learners have other numbers. */
export function renumbered(part: Uint8Array, numbers: ReadonlyMap<number, number>): Uint8Array {
  const copy = Uint8Array.from(part);
  const view = new DataView(copy.buffer);
  for (let at = LEARNER_BYTE; at < copy.length; at += ROW_BYTES) {
    const word = view.getUint32(at, true);
    const learner = word & (MOST_LEARNERS - 1);
    view.setUint32(at, word - learner + (numbers.get(learner) ?? learner), true);
  }
  return copy;
}

/** A part of a table without the rows of these learners. */
export function withoutLearners(part: Uint8Array, learners: ReadonlySet<number>): Uint8Array {
  const view = new DataView(part.buffer, part.byteOffset, part.length);
  const left = new Uint8Array(part.length);
  let filled = 0;
  for (let at = 0; at < part.length; at += ROW_BYTES) {
    if (learners.has(view.getUint32(at + LEARNER_BYTE, true) & (MOST_LEARNERS - 1))) continue;
    left.set(part.subarray(at, at + ROW_BYTES), filled);
    filled += ROW_BYTES;
  }
  return filled === part.length ? part : left.slice(0, filled);
}
