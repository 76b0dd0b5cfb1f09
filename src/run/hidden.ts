import type { ExternalId, LearnerId } from '../domain/ids.ts';
import type { ChunkOfRows, FeedReader } from '../feed/reader.ts';
import type { Rows } from '../feed/rows/rows.ts';
import type { RowMap } from './rowMap.ts';

/**
 * Looks for rows that were taken for one of last night's, by their hash, and name one of these learners after all: only
 * a collision of hashes can do that. External IDs are compared as they stand in the file; a cell that could be read in
 * more than one way is parsed.
 */
export class HiddenRows {
  found = false;
  readonly #reader: FeedReader;
  readonly #rowMap: RowMap;
  readonly #first: number;
  readonly #names: ReadonlyMap<ExternalId, LearnerId>;
  readonly #hashes: ReadonlySet<number>;
  /** A bit for the last bits of each hash: nearly every row is ruled out by it, sooner than by the set. */
  readonly #possible = new Uint8Array(1 << (FILTER_BITS - 3));

  constructor(reader: FeedReader, rowMap: RowMap, firstRow: number, names: ReadonlyMap<ExternalId, LearnerId>) {
    this.#reader = reader;
    this.#rowMap = rowMap;
    this.#first = firstRow;
    this.#names = names;
    this.#hashes = new Set([...names.keys()].map((name) => hashOf(Buffer.from(name), 0, Buffer.byteLength(name))));
    for (const hash of this.#hashes)
      this.#possible[(hash & FILTER) >>> 3] = (1 << (hash & 7)) | (this.#possible[(hash & FILTER) >>> 3] as number);
  }

  look({ rows, firstRow }: ChunkOfRows): void {
    const delimiter = this.#reader.layout.delimiter.charCodeAt(0);
    const possible = this.#possible;
    const chosen: number[] = [];
    for (let at = 0; at < rows.count; at += 1) {
      if (this.#rowMap.learner(firstRow - this.#first + at) === 0) continue;
      const hash = cellHash(rows, at, this.#reader.idColumn, delimiter);
      if (hash === 0) chosen.push(at);
      else if (((possible[(hash & FILTER) >>> 3] as number) & (1 << (hash & 7))) !== 0 && this.#hashes.has(hash))
        chosen.push(at);
    }
    if (chosen.length === 0) return;
    for (const row of this.#reader.parse(rows, chosen, firstRow)) {
      const learner = row.externalId === undefined ? undefined : this.#names.get(row.externalId);
      if (learner !== undefined && learner !== this.#rowMap.learner(row.row - this.#first)) this.found = true;
    }
  }
}

const FILTER_BITS = 20;
const FILTER = 2 ** FILTER_BITS - 1;
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

/** FNV-1a as a signed number, for which V8 needs no object; never 0. */
function hashOf(bytes: Uint8Array, from: number, to: number): number {
  let hash = 0x811c9dc5 | 0;
  for (let at = from; at < to; at += 1) hash = Math.imul(hash ^ (bytes[at] as number), 0x01000193);
  return hash || 1;
}
