import type { Rows } from './rows.ts';

/** Copies of single rows, which outlive the chunk that they were found in. */
export class RowCopies {
  count = 0;
  #bytes = new Uint8Array(256 * 1024);
  #filled = 0;
  #start = new Uint32Array(1024);
  #end = new Uint32Array(1024);
  #hashLow = new Uint32Array(1024);
  #hashHigh = new Uint32Array(1024);
  #numbers = new Uint32Array(1024);

  /** `number`: of the row in the file. */
  add({ bytes, start, end, hashLow, hashHigh }: Rows, at: number, number: number): void {
    const from = start[at] as number;
    const to = end[at] as number;
    if (this.count === this.#start.length) this.#growColumns();
    if (this.#filled + to - from > this.#bytes.length) this.#growBytes(to - from);
    this.#bytes.set(bytes.subarray(from, to), this.#filled);
    this.#start[this.count] = this.#filled;
    this.#filled += to - from;
    this.#end[this.count] = this.#filled;
    this.#hashLow[this.count] = hashLow[at] as number;
    this.#hashHigh[this.count] = hashHigh[at] as number;
    this.#numbers[this.count] = number;
    this.count += 1;
  }

  /** The copies, in the order in which they came. `offset` tells nothing. Valid until `add` is called. */
  get rows(): Rows {
    return {
      bytes: this.#bytes,
      offset: 0,
      count: this.count,
      start: this.#start,
      end: this.#end,
      hashLow: this.#hashLow,
      hashHigh: this.#hashHigh,
    };
  }

  /** Number in the file of each copy. */
  get numbers(): Uint32Array {
    return this.#numbers;
  }

  /** Index of the copy of a row of the file, or -1. Rows have come in the order of the file. */
  indexOf(number: number): number {
    let [from, to] = [0, this.count - 1];
    while (from <= to) {
      const middle = (from + to) >>> 1;
      const there = this.#numbers[middle] as number;
      if (there === number) return middle;
      if (there < number) from = middle + 1;
      else to = middle - 1;
    }
    return -1;
  }

  #growColumns(): void {
    const grown = (old: Uint32Array) => {
      const next = new Uint32Array(2 * old.length);
      next.set(old);
      return next;
    };
    this.#start = grown(this.#start);
    this.#end = grown(this.#end);
    this.#hashLow = grown(this.#hashLow);
    this.#hashHigh = grown(this.#hashHigh);
    this.#numbers = grown(this.#numbers);
  }

  #growBytes(more: number): void {
    const next = new Uint8Array(2 * this.#bytes.length + more);
    next.set(this.#bytes);
    this.#bytes = next;
  }
}
