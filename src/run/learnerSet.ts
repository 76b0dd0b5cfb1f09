import type { LearnerId } from '../domain/ids.ts';

/** A set of learners by number: one bit each. */
export class LearnerSet {
  #bits = new Uint8Array(1024);
  size = 0;

  constructor(ids: Iterable<LearnerId> = []) {
    for (const id of ids) this.add(id);
  }

  add(id: LearnerId): void {
    const at = id >>> 3;
    if (at >= this.#bits.length) {
      const grown = new Uint8Array(Math.max(at + 1, this.#bits.length * 2));
      grown.set(this.#bits);
      this.#bits = grown;
    }
    const bit = 1 << (id & 7);
    const byte = this.#bits[at] as number;
    if ((byte & bit) !== 0) return;
    this.#bits[at] = byte | bit;
    this.size += 1;
  }

  has(id: LearnerId): boolean {
    return ((this.#bits[id >>> 3] ?? 0) & (1 << (id & 7))) !== 0;
  }

  *[Symbol.iterator](): Generator<LearnerId> {
    const bits = this.#bits;
    for (let at = 0; at < bits.length; at += 1) {
      const byte = bits[at] as number;
      if (byte === 0) continue;
      for (let bit = 0; bit < 8; bit += 1) if ((byte & (1 << bit)) !== 0) yield (at * 8 + bit) as LearnerId;
    }
  }
}
