import type { LearnerId } from '../domain/ids.ts';

/** Growing columns, one entry a data row of tonight's file: its hash and whose row it is. Some 16 bytes a row. */
export class RowMap {
  #low = new Uint32Array(1024);
  #high = new Uint32Array(1024);
  #learner = new Uint32Array(1024);
  #flags = new Uint8Array(1024);
  length = 0;

  add(low: number, high: number, learner: LearnerId | 0): number {
    if (this.length === this.#low.length) this.#grow();
    const at = this.length;
    this.#low[at] = low;
    this.#high[at] = high;
    this.#learner[at] = learner;
    this.length += 1;
    return at;
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
    const size = this.#low.length * 2;
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
