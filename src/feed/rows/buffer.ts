import { MusterError } from '../../domain/errors.ts';
import { type Arena, type Kernel, POSITION, QUOTED, ROW_START } from './kernel.ts';
import type { Rows, Splitter } from './rows.ts';

/** The longest row, in bytes without its line end. */
export const LONGEST_ROW = 16 * 1024 * 1024;
const SMALLEST_INPUT = 64 * 1024;

/** A row longer than `LONGEST_ROW`. `row` counts from 1, `position` is its first byte in the stream, from 0. */
export class RowTooLong extends MusterError {
  readonly code = 'row-too-long';
  readonly row: number;
  readonly position: number;

  constructor(row: number, position: number) {
    super(
      `Row ${row}, which begins at byte ${position}, is longer than 16 MB. The file was not read. ` +
        'Look there for a quote that is never closed, or set the delimiter and quoting that the file has.',
    );
    this.row = row;
    this.position = position;
  }
}

/** Feeds a kernel with chunks: carries an unfinished row over to the front of the buffer, and counts bytes and rows. */
export class BufferedSplitter implements Splitter {
  readonly #kernel: Kernel;
  #arena: Arena;
  /** Bytes of the arena's input that hold data. */
  #filled = 0;
  /** Position in the stream of the arena's first byte. */
  #offset = 0;
  #rows = 0;
  #reserved = 0;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#arena = kernel.arena(SMALLEST_INPUT, SMALLEST_INPUT);
  }

  reserve(bytes: number): Uint8Array {
    this.#carry();
    const needed = this.#filled + bytes;
    const { input, start } = this.#arena;
    if (needed > input.length || bytes > start.length) {
      const size = needed > input.length ? Math.max(needed, 2 * input.length) : input.length;
      this.#arena = this.#kernel.arena(size, Math.max(bytes, start.length));
    }
    this.#reserved = bytes;
    return this.#arena.input.subarray(this.#filled, needed);
  }

  commit(length: number): Rows {
    if (length > this.#reserved) throw new RangeError(`${length} bytes committed, but ${this.#reserved} reserved.`);
    this.#reserved = 0;
    this.#filled += length;
    return this.#scan(false);
  }

  push(chunk: Uint8Array): Rows {
    this.reserve(chunk.length).set(chunk);
    return this.commit(chunk.length);
  }

  end(): Rows & { readonly openQuote: boolean } {
    this.#carry();
    const rows = this.#scan(true);
    return { ...rows, openQuote: this.#arena.state[QUOTED] === 1 };
  }

  #carry(): void {
    const { input, state } = this.#arena;
    const from = state[ROW_START] as number;
    input.copyWithin(0, from, this.#filled);
    this.#filled -= from;
    this.#offset += from;
    state[POSITION] = (state[POSITION] as number) - from;
    state[ROW_START] = 0;
  }

  #scan(last: boolean): Rows {
    const count = this.#kernel.scan(this.#filled, last);
    const { input, start, end, hashLow, hashHigh } = this.#arena;
    this.#refuseLongRows(count);
    this.#rows += count;
    return { bytes: input, count, start, end, hashLow, hashHigh, offset: this.#offset };
  }

  #refuseLongRows(count: number): void {
    if (this.#filled <= LONGEST_ROW) return;
    const { start, end, state } = this.#arena;
    for (let row = 0; row < count; row++) {
      const from = start[row] as number;
      if ((end[row] as number) - from > LONGEST_ROW) throw new RowTooLong(this.#rows + row + 1, this.#offset + from);
    }
    const from = state[ROW_START] as number;
    if (this.#filled - from > LONGEST_ROW) throw new RowTooLong(this.#rows + count + 1, this.#offset + from);
  }
}
