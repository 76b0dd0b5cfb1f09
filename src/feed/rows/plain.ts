import { RowHash } from './hash.ts';
import { AFTER_CR, type Arena, type Kernel, POSITION, QUOTED, ROW_START } from './kernel.ts';
import { LONGEST_PICKED } from './picking.ts';

const LF = 0x0a;
const CR = 0x0d;
const QUOTE = 0x22;
/** The hash reads whole groups of 16 bytes. */
const OVERREAD = 16;

/** The reference kernel. `key` as of `schedule`, without one, rows are not hashed; `picking` as of `pickingWords`. */
export class PlainKernel implements Kernel {
  readonly #delimiter: number;
  readonly #hash: RowHash | undefined;
  readonly #picking: Uint32Array;
  readonly #picked = new Uint8Array(LONGEST_PICKED + OVERREAD);
  readonly #pickedView = new DataView(this.#picked.buffer);
  #arena: Arena = arenaOf(0, 0);
  #view = new DataView(this.#arena.input.buffer);

  constructor(delimiter: number, key: Uint32Array | undefined, picking: Uint32Array) {
    this.#delimiter = delimiter;
    this.#picking = picking;
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
    const picked = this.#pick(start, end);
    if (picked > 0) hash.digest(this.#pickedView, 0, picked, true);
    else hash.digest(this.#view, start, end, false);
    hashLow[row] = hash.low;
    hashHigh[row] = hash.high;
  }

  /** Copies the picked cells of a row, each with the delimiter behind it. How many bytes; 0 = the whole row is to be hashed. */
  #pick(start: number, end: number): number {
    const { input } = this.#arena;
    const delimiter = this.#delimiter;
    const picking = this.#picking;
    if (picking[0] === 0 || end - start > LONGEST_PICKED) return 0;
    const picked: number[] = [];
    let cell = 0;
    let picks = picking[1] === 0;
    let next = picks ? 2 : 1;
    let quoted = false;
    for (let at = start; at < end; at++) {
      const byte = input[at] as number;
      if (picks) picked.push(byte);
      if (quoted && byte === QUOTE) {
        if (at + 1 < end && input[at + 1] === QUOTE) {
          if (picks) picked.push(byte);
          at++;
        } else if (at + 1 < end && input[at + 1] !== delimiter) return 0;
        else quoted = false;
      } else if (byte === QUOTE) quoted = at === start || input[at - 1] === delimiter;
      else if (byte === delimiter && !quoted && ++cell === picking[next]) {
        picks = !picks;
        next++;
      }
    }
    if (quoted || cell + 1 !== picking[0]) return 0;
    if (picks) picked.push(delimiter);
    this.#picked.set(picked);
    return picked.length;
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
