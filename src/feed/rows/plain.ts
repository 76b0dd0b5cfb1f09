import { RowHash } from './hash.ts';
import { AFTER_CR, type Arena, type Kernel, POSITION, QUOTED, ROW_START } from './kernel.ts';

const LF = 0x0a;
const CR = 0x0d;
const QUOTE = 0x22;
/** The hash reads whole groups of 16 bytes. */
const OVERREAD = 16;

/** The reference kernel. `key` as of `schedule`; without one, rows are not hashed. */
export class PlainKernel implements Kernel {
  readonly #delimiter: number;
  readonly #hash: RowHash | undefined;
  #arena: Arena = arenaOf(0, 0);
  #view = new DataView(this.#arena.input.buffer);

  constructor(delimiter: number, key: Uint32Array | undefined) {
    this.#delimiter = delimiter;
    this.#hash = key && new RowHash(key);
  }

  arena(bytes: number, rows: number): Arena {
    const arena = arenaOf(bytes, rows);
    arena.input.set(this.#arena.input.subarray(0, bytes));
    arena.state.set(this.#arena.state);
    this.#arena = arena;
    this.#view = new DataView(arena.input.buffer);
    return arena;
  }

  scan(filled: number, last: boolean): number {
    const { input, state } = this.#arena;
    const delimiter = this.#delimiter;
    let rowStart = state[ROW_START] as number;
    let at = state[POSITION] as number;
    let quoted = state[QUOTED] === 1;
    let afterCr = state[AFTER_CR] === 1;
    let count = 0;
    // A quote that is the last byte so far may be half of a doubled one: it waits for what follows.
    const stop = !last && filled > 0 && input[filled - 1] === QUOTE ? filled - 1 : filled;
    while (at < stop) {
      if (quoted) {
        while (at < stop && input[at] !== QUOTE) at++;
        if (at >= stop) break;
        if (at + 1 < filled && input[at + 1] === QUOTE) at++;
        else quoted = false;
        at++;
        continue;
      }
      while (at < stop && (input[at] as number) > QUOTE) at++;
      if (at >= stop) break;
      const byte = input[at];
      if (byte === QUOTE) {
        quoted = at === rowStart || input[at - 1] === delimiter;
        at++;
      } else if (byte === LF && afterCr && at === rowStart) {
        rowStart = ++at;
        afterCr = false;
      } else if (byte === LF || byte === CR) {
        this.#row(count++, rowStart, at);
        rowStart = ++at;
        afterCr = byte === CR;
      } else {
        at++;
      }
    }
    if (last && filled > rowStart) {
      this.#row(count++, rowStart, filled);
      rowStart = filled;
    }
    state[ROW_START] = rowStart;
    state[POSITION] = at;
    state[QUOTED] = quoted ? 1 : 0;
    state[AFTER_CR] = afterCr && at === rowStart ? 1 : 0;
    return count;
  }

  #row(row: number, start: number, end: number): void {
    const { start: starts, end: ends, hashLow, hashHigh } = this.#arena;
    starts[row] = start;
    ends[row] = end;
    const hash = this.#hash;
    if (!hash) return;
    hash.digest(this.#view, start, end);
    hashLow[row] = hash.low;
    hashHigh[row] = hash.high;
  }
}

function arenaOf(bytes: number, rows: number): Arena {
  return {
    input: new Uint8Array(new ArrayBuffer(bytes + OVERREAD), 0, bytes),
    state: new Uint32Array(4),
    start: new Uint32Array(rows),
    end: new Uint32Array(rows),
    hashLow: new Uint32Array(rows),
    hashHigh: new Uint32Array(rows),
  };
}
