import type { Rows } from './rows.ts';

/** 32-bit words of one row of the table: hash low, hash high, learner and flags. */
export const ROW_WORDS = 3;

/** `out` of a row that no table row equals, and of one of which that cannot be said yet. */
export const NEW_ROW = -1;
export const IN_DOUBT = -2;
/** Of more rows in doubt, `settle` is due: the file is another one, or its rows stand in another order. */
export const MOST_IN_DOUBT = 16_384;

/**
 * Finds the rows of a file among those of a table. Most files keep their order, so the table row behind the one
 * found last is tried first. A row that is not there is left in doubt, and what follows is looked for close by; only
 * `settle` asks an index of hashes, which of a file with a few changes holds a few rows.
 *
 * A table row is found once: of rows that are equal, each finds another one; where none is left, none is found. No
 * file row finds a table row of hash 0/0 (`LOOK_AGAIN`). Memory: one byte a table row, with an index of all rows 17 to 25.
 */
export class RowMatcher {
  /** As in `RowTable`: hash low, hash high and one more word a row, signed: V8 makes an object of a number from 2³¹ on. */
  readonly #table: Int32Array;
  /** 1 for a table row that was found. */
  readonly #found: Uint8Array;
  #foundRows = 0;
  #expected = 0;
  #index: HashIndex | undefined;

  constructor(table: Uint32Array) {
    this.#table = new Int32Array(table.buffer, table.byteOffset, table.length);
    this.#found = new Uint8Array(table.length / ROW_WORDS);
  }

  /**
   * Sets the first `rows.count` words of `out` to the table row that equals each row, to `NEW_ROW`, or, until `settle`
   * was called for the first time, to `IN_DOUBT`.
   */
  match(rows: HashedRows, out: Int32Array): void {
    if (out.length < rows.count)
      throw new RangeError(`${rows.count} rows do not fit into ${out.length} words of answers.`);
    if (this.#index) this.#lookUp(this.#index, rows, out);
    else this.#follow(rows, out);
  }

  /** Sets `out` for rows that were in doubt. From now on `match` leaves none in doubt. */
  settle(rows: HashedRows, out: Int32Array): void {
    this.#index ??= new HashIndex(this.#table, this.#found, this.#found.length - this.#foundRows);
    this.#lookUp(this.#index, rows, out);
  }

  /** Table rows, in file order, that no row matched; those to look at again are among them. */
  unmatched(): Uint32Array {
    const found = this.#found;
    const rows = new Uint32Array(found.length - this.#foundRows);
    for (let row = 0, next = 0; next < rows.length; row++) if (found[row] === 0) rows[next++] = row;
    return rows;
  }

  #follow({ count, hashLow, hashHigh }: HashedRows, out: Int32Array): void {
    const table = this.#table;
    const found = this.#found;
    let foundRows = this.#foundRows;
    let expected = this.#expected;
    for (let row = 0; row < count; row++) {
      if (!isFree(table, found, expected, (hashLow[row] as number) | 0, (hashHigh[row] as number) | 0)) {
        const step = this.#step(hashLow, hashHigh, row, count, expected);
        if (step <= 0) {
          out[row] = IN_DOUBT;
          expected -= step;
          continue;
        }
        expected += step;
      }
      out[row] = expected;
      found[expected++] = 1;
      foundRows++;
    }
    this.#foundRows = foundRows;
    this.#expected = expected;
  }

  /**
   * How the file goes on where a row is not the expected one: above 0, it is so many table rows further (those between
   * are gone); −1, it stands in place of the expected one, as it most likely does where nothing close by tells; 0, it
   * stands before it.
   */
  #step(hashLow: Uint32Array, hashHigh: Uint32Array, row: number, count: number, expected: number): number {
    const table = this.#table;
    const found = this.#found;
    const fits = (at: number, by: number) =>
      isFree(table, found, expected + by, (hashLow[row + at] as number) | 0, (hashHigh[row + at] as number) | 0);
    for (let by = 1; by <= NEAR; by++) if (fits(0, by)) return by;
    const near = Math.min(NEAR, count - 1 - row);
    for (let by = 1; by <= near; by++) {
      if (fits(by, by)) return -1;
      if (fits(by, 0)) return 0;
    }
    return -1;
  }

  #lookUp(index: HashIndex, { count, hashLow, hashHigh }: HashedRows, out: Int32Array): void {
    const table = this.#table;
    const found = this.#found;
    let expected = this.#expected;
    let guessed = 0;
    for (let row = 0; row < count; row++) {
      const low = (hashLow[row] as number) | 0;
      const high = (hashHigh[row] as number) | 0;
      let match = expected;
      if (!isFree(table, found, match, low, high)) {
        if (row >= guessed) {
          guessed = Math.min(count, row + AHEAD);
          index.guess(hashLow, row, guessed, out);
        }
        match = out[row] as number;
        if (match < 0 || !isFree(table, found, match, low, high)) match = index.find(low, high);
      }
      out[row] = match;
      if (match >= 0) {
        found[match] = 1;
        this.#foundRows++;
        expected = match + 1;
      }
    }
    this.#expected = expected;
  }
}

/** Hashes of rows, as `Rows` has them. */
export type HashedRows = Pick<Rows, 'count' | 'hashLow' | 'hashHigh'>;

/** Rows looked at in the file and in the table to see how they go on. */
const NEAR = 8;
/** Rows that are looked up side by side: what memory answers slowly is asked for all of them at once. */
const AHEAD = 64;

/** Has the table row this hash, and was not found yet? `row` may lie outside of the table. */
function isFree(table: Int32Array, found: Uint8Array, row: number, low: number, high: number): boolean {
  return (
    table[ROW_WORDS * row] === low && table[ROW_WORDS * row + 1] === high && found[row] === 0 && (low | high) !== 0
  );
}

/** 32-bit words of one entry of the index: 1 + the entry that follows in its bucket (0 = none), table row. */
const ENTRY_WORDS = 2;

/**
 * Table rows that were not found, in buckets by hash, each a chain in file order. Found rows leave their chain when
 * a search passes them, so that a file of one row a million times takes no longer than any other.
 */
class HashIndex {
  readonly #table: Int32Array;
  readonly #found: Uint8Array;
  readonly #entries: Uint32Array;
  /** 1 + the first entry of each bucket, 0 = none. */
  readonly #buckets: Uint32Array;
  readonly #mask: number;

  constructor(table: Int32Array, found: Uint8Array, unfound: number) {
    const buckets = new Uint32Array(2 ** Math.ceil(Math.log2(Math.max(1, 2 * unfound))));
    const mask = buckets.length - 1;
    const entries = new Uint32Array(ENTRY_WORDS * unfound);
    for (let row = found.length - 1, entry = 0; row >= 0; row--) {
      if (found[row] === 1) continue;
      const low = table[row * ROW_WORDS] as number;
      const high = table[row * ROW_WORDS + 1] as number;
      if ((low | high) === 0) continue;
      entries[ENTRY_WORDS * entry] = buckets[low & mask] as number;
      entries[ENTRY_WORDS * entry + 1] = row;
      buckets[low & mask] = ++entry;
    }
    this.#table = table;
    this.#found = found;
    this.#entries = entries;
    this.#buckets = buckets;
    this.#mask = mask;
  }

  /** Sets `out` to the table row that each row of the file most likely is, or to -1. The reads do not wait for one another. */
  guess(hashLow: Uint32Array, from: number, to: number, out: Int32Array): void {
    const entries = this.#entries;
    const buckets = this.#buckets;
    const table = this.#table;
    const mask = this.#mask;
    for (let row = from; row < to; row++) out[row] = buckets[(hashLow[row] as number) & mask] as number;
    for (let row = from; row < to; row++) {
      const entry = out[row] as number;
      out[row] = entry === 0 ? -1 : (entries[ENTRY_WORDS * entry - 1] as number);
    }
    for (let row = from; row < to; row++) {
      const guess = out[row] as number;
      if (guess >= 0 && table[ROW_WORDS * guess] !== ((hashLow[row] as number) | 0)) out[row] = -1;
    }
  }

  /** The first row of this hash that was not found, or -1. */
  find(low: number, high: number): number {
    const entries = this.#entries;
    const table = this.#table;
    const found = this.#found;
    const bucket = low & this.#mask;
    let before = 0;
    for (let entry = this.#buckets[bucket] as number; entry !== 0; ) {
      const next = entries[ENTRY_WORDS * (entry - 1)] as number;
      const row = entries[ENTRY_WORDS * (entry - 1) + 1] as number;
      if (found[row] === 1) {
        if (before === 0) this.#buckets[bucket] = next;
        else entries[ENTRY_WORDS * (before - 1)] = next;
      } else if (table[row * ROW_WORDS] === low && table[row * ROW_WORDS + 1] === high) return row;
      else before = entry;
      entry = next;
    }
    return -1;
  }
}
