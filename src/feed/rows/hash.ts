import { BLOCK } from './schedule.ts';

const SEEDS = BLOCK / 4 + 4;
const MULTIPLIERS = SEEDS + 4;
const WORD = 2 ** 32;
/** A double of this size has a unit of 2³² in its last place: what is added to it is rounded to whole high words. */
const HIGH_WORDS = 2 ** 84;

/**
 * The row hash: UMAC's NH over words of 32 bits, in two passes whose keys are shifted against each other.
 *
 * A row is padded with zeros to groups of 16 bytes. Each pass sums (w₀+k₀)(w₂+k₂) + (w₁+k₁)(w₃+k₃) over a block's
 * groups modulo 2⁶⁴, adds its state (at first its seed and the row's length), multiplies by its odd multiplier
 * and swaps the halves; the low half at the end, scrambled by a bijection, is its 32 bits of the hash.
 *
 * Two different rows of up to 1024 bytes, chosen without knowledge of the key, have the same pass with a chance of at
 * most 3·2⁻³² (2⁻³² NH, 2⁻³¹ multiply-shift) and the same hash with one of 2⁻⁶⁰. The length of cells that were picked is 2³²
 * more than it is, so that they differ from a row that consists of them. Longer rows chain blocks;
 * nothing is proven of that, nor is the hash meant to be shown to an attacker. 0/0 is kept free (see `LOOK_AGAIN`).
 */
export class RowHash {
  low = 0;
  high = 0;
  readonly #key: Uint32Array;
  readonly #state = new Uint32Array(4);

  constructor(key: Uint32Array) {
    this.#key = key;
  }

  /**
   * Sets `low` and `high` to the hash of the bytes from `start` up to `end`; 16 bytes behind must be readable. `picked`: they
   * are cells of a row, not the whole of it.
   */
  digest(view: DataView, start: number, end: number, picked: boolean): void {
    const state = this.#state;
    for (let pass = 0; pass < 4; pass += 2) {
      const seed = this.#key[SEEDS + pass] as number;
      state[pass] = seed + (end - start);
      const carried = seed + (end - start) >= WORD ? 1 : 0;
      state[pass + 1] = (this.#key[SEEDS + pass + 1] as number) + carried + (picked ? 1 : 0);
    }
    let from = start;
    do {
      const to = Math.min(end, from + BLOCK);
      this.#block(view, from, to);
      from = to;
    } while (from < end);
    this.low = scramble(state[0] as number);
    this.high = scramble(state[2] as number);
    if (this.low === 0 && this.high === 0) this.low = 1;
  }

  /**
   * A product of two words is taken apart without BigInt: `Math.imul` is its low word; the rounded double minus
   * that is off the high word by less than 2¹² of 2³², which adding it to 2⁸⁴ rounds away.
   */
  #block(view: DataView, start: number, end: number): void {
    const key = this.#key;
    let k0 = key[0] as number;
    let k1 = key[1] as number;
    let k2 = key[2] as number;
    let k3 = key[3] as number;
    let lowA = 0;
    let lowB = 0;
    let highA = HIGH_WORDS;
    let highB = HIGH_WORDS;
    for (let at = start, next = 4; at < end; at += 16, next += 4) {
      let w0 = view.getUint32(at, true);
      let w1 = view.getUint32(at + 4, true);
      let w2 = view.getUint32(at + 8, true);
      let w3 = view.getUint32(at + 12, true);
      if (at + 16 > end) {
        const bits = 8 * (end - at);
        w0 &= firstBits(bits);
        w1 &= firstBits(bits - 32);
        w2 &= firstBits(bits - 64);
        w3 &= firstBits(bits - 96);
      }

      let x = (w0 + k0) >>> 0;
      let y = (w2 + k2) >>> 0;
      let low = Math.imul(x, y) >>> 0;
      lowA += low;
      highA += x * y - low;
      x = (w1 + k1) >>> 0;
      y = (w3 + k3) >>> 0;
      low = Math.imul(x, y) >>> 0;
      lowA += low;
      highA += x * y - low;

      k0 = key[next] as number;
      k1 = key[next + 1] as number;
      k2 = key[next + 2] as number;
      k3 = key[next + 3] as number;
      x = (w0 + k0) >>> 0;
      y = (w2 + k2) >>> 0;
      low = Math.imul(x, y) >>> 0;
      lowB += low;
      highB += x * y - low;
      x = (w1 + k1) >>> 0;
      y = (w3 + k3) >>> 0;
      low = Math.imul(x, y) >>> 0;
      lowB += low;
      highB += x * y - low;
    }
    this.#absorb(0, lowA, (highA - HIGH_WORDS) / WORD);
    this.#absorb(2, lowB, (highB - HIGH_WORDS) / WORD);
  }

  /** State + (high·2³² + low), times the multiplier, halves swapped. */
  #absorb(pass: number, low: number, high: number): void {
    const state = this.#state;
    const sum = (state[pass] as number) + low;
    const sumLow = sum >>> 0;
    const sumHigh = ((state[pass + 1] as number) + high + Math.floor(sum / WORD)) >>> 0;
    const timesLow = this.#key[MULTIPLIERS + pass] as number;
    const timesHigh = this.#key[MULTIPLIERS + pass + 1] as number;
    const product = Math.imul(sumLow, timesLow) >>> 0;
    const carried = Math.round((sumLow * timesLow - product) / WORD);
    state[pass] = carried + Math.imul(sumHigh, timesLow) + Math.imul(sumLow, timesHigh);
    state[pass + 1] = product;
  }
}

/** A mask of the lowest `count` bits: none below 0, all from 32 on. */
function firstBits(count: number): number {
  if (count >= 32) return -1;
  return count <= 0 ? 0 : (1 << count) - 1;
}

/** MurmurHash3's finaliser: a bijection that lets every bit of the input turn every bit of the output. */
function scramble(word: number): number {
  let mixed = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
