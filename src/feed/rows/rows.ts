import type { Picking } from './picking.ts';

/**
 * Rows found in bytes, without parsing them: where each begins and ends, and where a key is given a keyed 64-bit hash of its
 * bytes, or of those of the cells that are picked.
 * Two kernels give the very same answer: `plain` (JavaScript, the reference) and `wasm` (SIMD).
 */
export interface Rows {
  /** The bytes that the offsets below point into. Valid until the next call of the splitter. */
  readonly bytes: Uint8Array;
  readonly count: number;
  /** Offset of each row's first byte. */
  readonly start: Uint32Array;
  /** Offset behind each row's last byte, the line end (LF, CRLF or CR) left out. */
  readonly end: Uint32Array;
  /** Of a splitter without a key, these mean nothing. */
  readonly hashLow: Uint32Array;
  readonly hashHigh: Uint32Array;
  /** Position in the whole stream of `bytes[0]`. */
  readonly offset: number;
}

/**
 * Splits an ASCII-compatible byte stream (UTF-8, windows-1252, …) into rows as RFC 4180 quoting has it: a quote
 * opens only as the first byte of a cell, a doubled quote inside stands for one, a line end inside quotes belongs
 * to the cell. Behind a closing quote, everything up to the delimiter or line end is part of the cell, and a further
 * quote there means nothing. Blank rows are rows (of length 0). A byte order mark is the caller's to leave out.
 * The memory that it holds is bounded by the longest row; a row of more than 16 MB raises `RowTooLong`.
 */
export interface Splitter {
  /**
   * Room for the next `bytes` of the stream, to be read into without another copy, then told by `commit`.
   * Valid until the next call of the splitter. 64 KB to 1 MB is best: each byte sets 17 bytes of memory aside, lest
   * all of them be line ends.
   */
  reserve(bytes: number): Uint8Array;
  /** Rows that end within what was committed so far; `length` bytes of what was reserved last have been filled. */
  commit(length: number): Rows;
  /** `reserve`, copy and `commit` in one. */
  push(chunk: Uint8Array): Rows;
  /** The rest: a last row without a line end, if there is one. `openQuote`: the stream broke off within quotes (R16). */
  end(): Rows & { readonly openQuote: boolean };
}

export interface SplitterOptions {
  /** Byte of the delimiter, e.g. 0x2c. */
  readonly delimiter: number;
  /** Key of the hash, 16 bytes; another key, other hashes. Without one, rows are not hashed, which takes half of the time. */
  readonly key?: Uint8Array | undefined;
  /**
   * What the hash is of: these cells as they are written, of rows with so many cells whose quotes are sound (a closing
   * quote ends its cell), of up to 4,096 bytes. Of any other row, and where nothing is picked, all bytes are hashed.
   */
  readonly picking?: Picking | undefined;
}
