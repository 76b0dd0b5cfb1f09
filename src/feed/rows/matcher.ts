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
    let expected = this.#expected;
    for (let row = 0; row < count; row++) {
      const low = hashLow[row] as number;
      const high = hashHigh[row] as number;
      let match = expected;
      if (!(table[4 * match] === low && table[4 * match + 1] === high && found[match] === 0 && (low | high) !== 0)) {
        this.#index ??= new HashIndex(table, found, found.length - foundRows);
        match = this.#index.find(low, high);
      }
      out[row] = match;
      if (match >= 0) {
        found[match] = 1;
        foundRows++;
        expected = match + 1;
      }
    }
    this.#foundRows = foundRows;
    this.#expected = expected;
  }

  /** Table rows, in file order, that no row matched; those to look at again are among them. */
  unmatched(): Uint32Array {
    const found = this.#found;
    const rows = new Uint32Array(found.length - this.#foundRows);
    for (let row = 0, next = 0; next < rows.length; row++) if (found[row] === 0) rows[next++] = row;
    return rows;
  }
}

/**
 * Table rows that were not found, by hash: open addressing with linear probing, at most half full. Equal rows share
 * a slot and hang on a chain, so that a file of one row a million times takes no longer than any other.
 */
class HashIndex {
  readonly #table: Uint32Array;
  readonly #found: Uint8Array;
  /** 1 + the first row of a chain that may still be found, or its last row; 0 is free. */
  readonly #slots: Uint32Array;
  /** 1 + the next equal row, in file order; 0 ends the chain. */
  readonly #next: Uint32Array;

  constructor(table: Uint32Array, found: Uint8Array, rows: number) {
    this.#table = table;
    this.#found = found;
    this.#slots = new Uint32Array(2 ** Math.ceil(Math.log2(Math.max(2, 2 * rows))));
    this.#next = new Uint32Array(found.length);
    for (let row = found.length - 1; row >= 0; row--) {
      const low = table[row * ROW_WORDS] as number;
      const high = table[row * ROW_WORDS + 1] as number;
      if (found[row] === 1 || (low | high) === 0) continue;
      const slot = this.#slot(low, high);
      this.#next[row] = this.#slots[slot] as number;
      this.#slots[slot] = row + 1;
    }
  }

  /** The first row of this hash that was not found, or -1. */
  find(low: number, high: number): number {
    const slot = this.#slot(low, high);
    let link = this.#slots[slot] as number;
    while (link !== 0 && this.#found[link - 1] === 1) {
      const next = this.#next[link - 1] as number;
      if (next !== 0) this.#slots[slot] = next;
      link = next;
    }
    return link - 1;
  }

  /** The slot of this hash, or the free one where it would go. */
  #slot(low: number, high: number): number {
    const slots = this.#slots;
    const table = this.#table;
    const mask = slots.length - 1;
    let slot = low & mask;
    for (let link = slots[slot] as number; link !== 0; link = slots[slot] as number) {
      const at = (link - 1) * ROW_WORDS;
      if (table[at] === low && table[at + 1] === high) break;
      slot = (slot + 1) & mask;
    }
    return slot;
  }
}
