import { type Encoding, encode, markOf } from './decode.ts';

/** Columns that `muster runs rejected` adds; ignored on the way in. */
export const ROW_COLUMN = 'muster:row';
export const REASON_COLUMN = 'muster:reason';

/** A rejected row as it is kept: its bytes as the file had them. */
export interface RejectedRow {
  readonly row: number;
  readonly bytes: Uint8Array;
  readonly code: string;
  readonly message: string;
}

/** What the file of rejected rows takes over from the file that they came from; plain data that can be stored. */
export interface RejectedLayout {
  readonly encoding: Encoding;
  readonly delimiter: string;
  readonly lineEnd: string;
  /** The header's bytes as the file had them. */
  readonly header: Uint8Array;
}

/**
 * Rejected rows as CSV, ready to be mended and fed in again: header and rows in their original bytes, two columns
 * more (row number, reason), in the encoding, with the byte order mark, delimiter and line ends of the file.
 */
export function* writeRejected(
  layout: RejectedLayout,
  rows: Iterable<RejectedRow>,
): Generator<Uint8Array, void, undefined> {
  const { encoding, delimiter, lineEnd, header } = layout;
  const behind = (...cells: string[]) =>
    encode(cells.map((cell) => delimiter + quoted(cell, delimiter)).join('') + lineEnd, encoding);
  yield Buffer.concat([markOf(encoding), header, behind(ROW_COLUMN, REASON_COLUMN)]);
  for (const { row, bytes, code, message } of rows) {
    yield Buffer.concat([bytes, behind(String(row), `${code}: ${message}`)]);
  }
}

function quoted(cell: string, delimiter: string): string {
  return cell.includes('"') || cell.includes(delimiter) ? `"${cell.replaceAll('"', '""')}"` : cell;
}
