/** Where a scan stands; offsets into `Arena.input`. The words of `Arena.state`, in this order. */
export const ROW_START = 0;
/** The next byte to look at. */
export const POSITION = 1;
/** 1 within quotes. */
export const QUOTED = 2;
/** 1 where the byte before `position` was a CR that ended a row, so that an LF here belongs to it. */
export const AFTER_CR = 3;

/** Memory that a kernel reads bytes from and writes rows to. */
export interface Arena {
  readonly input: Uint8Array;
  readonly state: Uint32Array;
  readonly start: Uint32Array;
  readonly end: Uint32Array;
  readonly hashLow: Uint32Array;
  readonly hashHigh: Uint32Array;
}

/** The inner loop of a splitter, written twice. */
export interface Kernel {
  /** An arena for so many bytes of input and so many rows; `input` and `state` keep what an earlier one held. */
  arena(bytes: number, rows: number): Arena;
  /**
   * Goes on from the arena's state up to `filled` and writes the rows that end there; their number. `last`: no byte
   * follows, so that what is left is a row as well.
   */
  scan(filled: number, last: boolean): number;
}
