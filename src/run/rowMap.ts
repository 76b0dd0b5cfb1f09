import type { LearnerId } from '../domain/ids.ts';
import type { Rows } from '../feed/rows/rows.ts';

/** Growing columns, one entry a data row of tonight's file: its hash and whose row it is. 13 bytes a row. */
export class RowMap {
  #low: Uint32Array;
  #high: Uint32Array;
  #learner: Uint32Array;
  #flags: Uint8Array;
  length = 0;

  /** `rows`: room for so many; more are possible. */
  constructor(rows = 1024) {
    this.#low = new Uint32Array(rows);
    this.#high = new Uint32Array(rows);
    this.#learner = new Uint32Array(rows);
    this.#flags = new Uint8Array(rows);
  }

  /** Appends rows whose learner is not known yet. Returns the index of the first of them. */
  append({ count, hashLow, hashHigh }: Rows): number {
    const first = this.length;
    this.length += count;
    if (this.length > this.#low.length) this.#grow();
    this.#low.set(hashLow.subarray(0, count), first);
    this.#high.set(hashHigh.subarray(0, count), first);
    return first;
  }

  low(at: number): number {
    return this.#low[at] as number;
  }

  high(at: number): number {
    return this.#high[at] as number;
  }

  learner(at: number): LearnerId | 0 {
    return this.#learner[at] as LearnerId | 0;
  }

  assign(at: number, learner: LearnerId | 0): void {
    this.#learner[at] = learner;
  }

  flags(at: number): number {
    return this.#flags[at] as number;
  }

  setFlags(at: number, flags: number): void {
    this.#flags[at] = flags;
  }

  #grow(): void {
    const size = Math.ceil(this.length * 1.5);
    const grown = <T extends Uint32Array | Uint8Array>(old: T, next: T): T => {
      next.set(old);
      return next;
    };
    this.#low = grown(this.#low, new Uint32Array(size));
    this.#high = grown(this.#high, new Uint32Array(size));
    this.#learner = grown(this.#learner, new Uint32Array(size));
    this.#flags = grown(this.#flags, new Uint8Array(size));
  }
}
