import type { ExternalId, LearnerId } from '../domain/ids.ts';
import type { FeedReader } from '../feed/reader.ts';
import type { Rows } from '../feed/rows/rows.ts';
import type { Reading } from './read.ts';

/**
 * Does a row that was taken for one of last night's, by its hash, name one of these learners after all? Only a
 * collision of hashes can do that. External IDs are compared as they stand in the file; a cell that could be read in
 * more than one way is parsed. One pass over the file; nothing is written.
 */
export async function hidesOne(
  reader: FeedReader,
  hashKey: Uint8Array,
  { rowMap, firstRow: first }: Reading,
  names: ReadonlyMap<ExternalId, LearnerId>,
): Promise<boolean> {
  if (names.size === 0) return false;
  const hashes = new Set([...names.keys()].map((name) => hashOf(Buffer.from(name), 0, Buffer.byteLength(name))));
  const delimiter = reader.layout.delimiter.charCodeAt(0);
  for await (const { rows, firstRow } of reader.rows(hashKey)) {
    const chosen: number[] = [];
    for (let at = 0; at < rows.count; at += 1) {
      if (rowMap.learner(firstRow - first + at) === 0) continue;
      const hash = cellHash(rows, at, reader.idColumn, delimiter);
      if (hash === 0 || hashes.has(hash)) chosen.push(at);
    }
    if (chosen.length === 0) continue;
    for (const row of reader.parse(rows, chosen, firstRow)) {
      const learner = row.externalId === undefined ? undefined : names.get(row.externalId);
      if (learner !== undefined && learner !== rowMap.learner(row.row - first)) return true;
    }
  }
  return false;
}

const QUOTE = 0x22;
const SPACE = 0x20;
const DELETE = 0x7f;

/** Hash of a cell of printable ASCII without quotes or spaces; 0 = the row must be parsed to know. */
function cellHash({ bytes, start, end }: Rows, row: number, column: number, delimiter: number): number {
  const last = end[row] as number;
  let at = start[row] as number;
  for (let skip = column; skip > 0; at += 1) {
    const byte = bytes[at] as number;
    if (at >= last || byte === QUOTE) return 0;
    if (byte === delimiter) skip -= 1;
  }
  const from = at;
  for (; at < last; at += 1) {
    const byte = bytes[at] as number;
    if (byte === delimiter) break;
    if (byte === QUOTE || byte <= SPACE || byte >= DELETE) return 0;
  }
  return hashOf(bytes, from, at);
}

/** FNV-1a, never 0. */
function hashOf(bytes: Uint8Array, from: number, to: number): number {
  let hash = 0x811c9dc5;
  for (let at = from; at < to; at += 1) hash = Math.imul(hash ^ (bytes[at] as number), 0x01000193);
  return hash >>> 0 || 1;
}
