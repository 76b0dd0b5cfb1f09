/** The cells of a row by which it is known again. */
export interface Picking {
  /** Cells of a whole row. */
  readonly cells: number;
  /** Columns, from 0, ascending. */
  readonly columns: readonly number[];
}

/** 32-bit words of a picking as both kernels read it. */
export const PICKING_WORDS = 64;
/** Bytes of a row whose cells are picked; of a longer one, all bytes are hashed. */
export const LONGEST_PICKED = 4096;
/** Behind the last boundary: no row has so many cells. */
const NEVER = 0xffff_ffff;

/**
 * A picking as words: how many cells a whole row has (0 = all bytes are hashed), then in turn the column where picked ones
 * begin and the one where they end. What does not fit, or picks everything, is no picking: more is hashed then, not less.
 */
export function pickingWords(picking: Picking | undefined): Uint32Array {
  const words = new Uint32Array(PICKING_WORDS);
  if (!picking || picking.columns.length === 0 || picking.columns.length === picking.cells) return words;
  const picked = new Set(picking.columns);
  const boundaries = Array.from({ length: picking.cells + 1 }, (_, column) => column).filter(
    (column) => picked.has(column) !== picked.has(column - 1),
  );
  if (boundaries.length + 2 > PICKING_WORDS) return words;
  words.set([picking.cells, ...boundaries, NEVER]);
  return words;
}
