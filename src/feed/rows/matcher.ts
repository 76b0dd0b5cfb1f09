import type { Rows } from './rows.ts';

/** 32-bit words of one row of the table: hash low, hash high, learner, flags. */
export const ROW_WORDS = 4;

/**
 * Finds the rows of a file among those of a table. Most files keep their order, so the table row behind the one
 * found last is tried first, and only then an index of hashes, which is not built before it is needed.
 *
 * A table row is found once: of rows that are equal, each finds another one; where none is left, none is found. No
 * file row finds a table row of hash 0/0 (`LOOK_AGAIN`). Memory: one byte a table row, with the index up to 21.
 */
export class RowMatcher {
  /** As in `RowTable`: hash low, hash high and two more words a row. */
  readonly #table: Uint32Array;
  /** 1 for a table row that was found. */
  readonly #found: Uint8Array;
  #foundRows = 0;
  #jumps = 0;
  #expected = 0;
  #index: HashIndex | undefined;

  constructor(table: Uint32Array) {
    this.#table = table;
    this.#found = new Uint8Array(table.length / ROW_WORDS);
  }

  /** Sets the first `rows.count` words of `out` to the table row that equals each row, or to -1. */
  match(rows: Rows, out: Int32Array): void {
    const { count, hashLow, hashHigh } = rows;
    if (out.length < count) throw new RangeError(`${count} rows do not fit into ${out.length} words of answers.`);
    const table = this.#table;
    const found = this.#found;
    let foundRows = this.#foundRows;
    let jumps = this.#jumps;
    let expected = this.#expected;
    let guessed = 0;
    for (let row = 0; row < count; row++) {
      const low = hashLow[row] as number;
      const high = hashHigh[row] as number;
      let match = expected;
      if (!isFree(table, found, match, low, high)) {
        this.#index ??= new HashIndex(table, found, found.length - foundRows);
        if (row >= guessed) {
          guessed = Math.min(count, row + AHEAD);
          this.#index.guess(hashLow, row, guessed, out);
        }
        match = out[row] as number;
        if (match < 0 || !isFree(table, found, match, low, high)) match = this.#index.find(low, high);
        jumps++;
      }
      out[row] = match;
      if (match >= 0) {
        found[match] = 1;
        foundRows++;
        expected = match + 1;
      }
    }
    this.#foundRows = foundRows;
    this.#jumps = jumps;
    this.#expected = expected;
  }

  /** Rows of the file that were not found, or not behind the one found before. */
  get jumps(): number {
    return this.#jumps;
  }

  /** Table rows, in file order, that no row matched; those to look at again are among them. */
  unmatched(): Uint32Array {
    const found = this.#found;
    const rows = new Uint32Array(found.length - this.#foundRows);
    for (let row = 0, next = 0; next < rows.length; row++) if (found[row] === 0) rows[next++] = row;
    return rows;
  }
}

/** Rows that are looked up side by side: what memory answers slowly is asked for all of them at once. */
const AHEAD = 64;

/** Has the table row this hash, and was not found yet? `row` may lie outside of the table. */
function isFree(table: Uint32Array, found: Uint8Array, row: number, low: number, high: number): boolean {
  return (
    table[ROW_WORDS * row] === low && table[ROW_WORDS * row + 1] === high && found[row] === 0 && (low | high) !== 0
  );
}

/**
 * Table rows that were not found, in buckets by hash, each a chain in file order. Found rows leave their chain when
 * a search passes them, so that a file of one row a million times takes no longer than any other.
 */
class HashIndex {
  readonly #table: Uint32Array;
  readonly #found: Uint8Array;
  /** 1 + the row that follows in the chain, 0 at its end: for each table row, then for each bucket. */
  readonly #links: Uint32Array;
  readonly #mask: number;

  constructor(table: Uint32Array, found: Uint8Array, unfound: number) {
    const rows = found.length;
    const buckets = 2 ** Math.ceil(Math.log2(Math.max(1, 2 * unfound)));
    const mask = buckets - 1;
    const links = new Uint32Array(rows + buckets);
    for (let row = rows - 1; row >= 0; row--) {
      const low = table[row * ROW_WORDS] as number;
      const high = table[row * ROW_WORDS + 1] as number;
      if (found[row] === 1 || (low | high) === 0) continue;
      const bucket = rows + (low & mask);
      links[row] = links[bucket] as number;
      links[bucket] = row + 1;
    }
    this.#table = table;
    this.#found = found;
    this.#links = links;
    this.#mask = mask;
  }

  /** Sets `out` to the table row that each row of the file most likely is, or to -1. The reads do not wait for one another. */
  guess(hashLow: Uint32Array, from: number, to: number, out: Int32Array): void {
    const links = this.#links;
    const table = this.#table;
    const rows = this.#found.length;
    const mask = this.#mask;
    for (let row = from; row < to; row++) out[row] = (links[rows + ((hashLow[row] as number) & mask)] as number) - 1;
    for (let row = from; row < to; row++) {
      const guess = out[row] as number;
      if (guess >= 0 && table[ROW_WORDS * guess] !== hashLow[row]) out[row] = -1;
    }
  }

  /** The first row of this hash that was not found, or -1. */
  find(low: number, high: number): number {
    const links = this.#links;
    const table = this.#table;
    let before = this.#found.length + (low & this.#mask);
    for (let link = links[before] as number; link !== 0; link = links[before] as number) {
      const row = link - 1;
      if (this.#found[row] === 1) links[before] = links[row] as number;
      else if (table[row * ROW_WORDS] === low && table[row * ROW_WORDS + 1] === high) return row;
      else before = row;
    }
    return -1;
  }
}
