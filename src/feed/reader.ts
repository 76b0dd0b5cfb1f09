import { createHash, type Hash } from 'node:crypto';
import type { Rejection, RowClaim } from '../domain/claim.ts';
import type { FeedSettings } from '../settings/feed.ts';
import { decode, encode, encodingOf, SAMPLE, Transcoder, Utf8Check } from './decode.ts';
import { BrokenOff, WrongEncoding } from './errors.ts';
import { type Layout, layoutOf } from './layout.ts';
import { compileMapping, type Mapper } from './mapping.ts';
import { parseRecord, parseRecords } from './records.ts';
import type { RejectedLayout } from './rejected.ts';
import type { Picking } from './rows/picking.ts';
import type { Rows, Splitter } from './rows/rows.ts';
import { createSplitter } from './rows/splitter.ts';
import { CHUNK, head, Reading, type SourceFile } from './sources/file.ts';

/** Data rows of one chunk. `firstRow`: number of the first of them in the file, header = 1, blank rows counted. */
export interface ChunkOfRows {
  /** Valid until the next chunk is asked for. */
  readonly rows: Rows;
  readonly firstRow: number;
}

/** Rows given to the parser in one call: enough to be fast, and few enough that their cells are collected young. */
const AT_ONCE = 512;

/** Opens a feed file: encoding, delimiter and header are found, and fit the feed, or this throws (R16). */
export async function openFeed(file: SourceFile, settings: FeedSettings): Promise<FeedReader> {
  const sample = await head(file, SAMPLE);
  const whole = sample.length === file.bytes;
  const encoding = encodingOf(sample, whole, settings.format.encoding, file.name);
  const text = sample.subarray(encoding.bom);
  const splittable = encoding.splittable ? text : new Transcoder(encoding).push(text);
  return new FeedReader(file, layoutOf(splittable, whole, encoding, settings, file.name), settings);
}

/** Reads a feed's rows in one pass, and parses those that it is asked for. */
export class FeedReader {
  readonly name: string;
  readonly layout: Layout;
  readonly bytes: number;
  /** Place of the column with the learner's External ID. */
  readonly idColumn: number;
  readonly #file: SourceFile;
  readonly #mapper: Mapper;
  readonly #picking: Picking | undefined;
  /** Bytes of one read; of a small file one more than it has, so that the first read sees its end. */
  readonly #chunk: number;
  #sha256: string | undefined;

  constructor(file: SourceFile, layout: Layout, settings: FeedSettings) {
    this.#file = file;
    this.name = file.name;
    this.bytes = file.bytes;
    this.#chunk = Math.min(CHUNK, file.bytes + 1);
    this.layout = layout;
    this.idColumn = layout.headers.indexOf(settings.learner.externalId.column);
    this.#mapper = compileMapping(settings, layout.headers, layout.delimiter);
    const { columns } = this.#mapper;
    this.#picking = columns && { cells: layout.headers.length, columns };
  }

  /** SHA-256 of the file in hex; known once `rows` has been read to its end. */
  get sha256(): string {
    if (this.#sha256 === undefined)
      throw new Error('The hash of a feed is known only once all of its rows have been read.');
    return this.#sha256;
  }

  /**
   * All data rows, the header left out. `key`: of the row hashes, 16 bytes; without it there are none. What was yielded counts only once the
   * iteration has ended by itself: at the end it throws BrokenOff where the file ends within quotes, within a
   * character, or in a last row without line end that has too few columns; SourceChanged where the file is not what
   * it was; WrongEncoding where a byte is no UTF-8. A cut within the last cell of a row cannot be told from a file
   * without a last line end; a cut that loses more than that last row shows in the guard's `rowsPercent`. What one
   * iteration to the end has proven of the bytes, later ones do not prove again.
   */
  async *rows(key?: Uint8Array): AsyncGenerator<ChunkOfRows, void, undefined> {
    const { delimiter, encoding, headerRow } = this.layout;
    const splitter = createSplitter({ delimiter: delimiter.charCodeAt(0), key, picking: this.#picking });
    const hash = this.#sha256 === undefined ? createHash('sha256') : undefined;
    const reading = await Reading.of(this.#file);
    try {
      let next = 1;
      const numbered = (rows: Rows): ChunkOfRows => {
        const skip = Math.min(rows.count, Math.max(0, headerRow + 1 - next));
        const chunk = { rows: skip === 0 ? rows : behind(rows, skip), firstRow: next + skip };
        next += rows.count;
        return chunk;
      };
      const chunks = encoding.splittable
        ? this.#split(reading, splitter, hash, () => next)
        : this.#transcode(reading, splitter, hash, () => next);
      for await (const rows of chunks) {
        const chunk = numbered(rows);
        if (chunk.rows.count > 0) yield chunk;
      }
      await reading.verify(true);
      const last = splitter.end();
      if (last.openQuote) throw this.#brokenOff(next, 'a quote is opened there and never closed');
      const chunk = numbered(last);
      this.#checkLast(chunk);
      if (hash) this.#sha256 = hash.digest('hex');
      if (chunk.rows.count > 0) yield chunk;
    } finally {
      await reading.close();
    }
  }

  /**
   * Parses the rows at these indexes. `numbers`: that of the first of all rows, or those of all. Blank rows give
   * nothing, so results are told apart by their row numbers.
   */
  parse(rows: Rows, indexes: Uint32Array | readonly number[], numbers: number | Uint32Array): (RowClaim | Rejection)[] {
    const results: (RowClaim | Rejection)[] = [];
    for (let from = 0; from < indexes.length; from += AT_ONCE) {
      const present: number[] = [];
      for (const index of indexes.slice(from, from + AT_ONCE))
        if (rows.start[index] !== rows.end[index]) present.push(index);
      if (present.length > 0) this.#parse(rows, present, numbers, results);
    }
    return results;
  }

  /** What a file of rejected rows takes over from this one. */
  get rejectedLayout(): RejectedLayout {
    const { encoding, delimiter, lineEnd, headerBytes } = this.layout;
    return { encoding, delimiter, lineEnd, header: this.#original(headerBytes) };
  }

  /** A copy of the row's bytes as the file has them, without its line end. */
  raw(rows: Rows, index: number): Uint8Array {
    return this.#original(bytesOf(rows, index).slice());
  }

  /** Bytes of the stream that is split, as they are in the file. */
  #original(bytes: Uint8Array): Uint8Array {
    const { encoding } = this.layout;
    return encoding.splittable ? bytes : encode(decode(bytes, encoding), encoding);
  }

  /** All rows in one call of the parser; where it finds other rows than we did, or faults, row by row. */
  #parse(
    rows: Rows,
    indexes: readonly number[],
    numbers: number | Uint32Array,
    results: (RowClaim | Rejection)[],
  ): void {
    const { delimiter, encoding } = this.layout;
    const { records, sound } = parseRecords(decode(joined(rows, indexes), encoding), delimiter);
    const together = sound && records.length === indexes.length;
    for (const [at, index] of indexes.entries()) {
      const row = typeof numbers === 'number' ? numbers + index : (numbers[index] as number);
      const cells = together ? records[at] : parseRecord(decode(bytesOf(rows, index), encoding), delimiter);
      results.push(
        cells ? this.#mapper.row(cells, row) : this.#mapper.badQuotes(decode(bytesOf(rows, index), encoding), row),
      );
    }
  }

  async *#split(
    reading: Reading,
    splitter: Splitter,
    hash: Hash | undefined,
    row: () => number,
  ): AsyncGenerator<Rows, void, undefined> {
    const { encoding } = this.layout;
    const check = hash && encoding.name === 'utf-8' ? new Utf8Check() : undefined;
    const mark = new Uint8Array(encoding.bom);
    await reading.into(mark);
    hash?.update(mark);
    for (;;) {
      const target = splitter.reserve(this.#chunk);
      const filled = await reading.into(target);
      const chunk = target.subarray(0, filled);
      hash?.update(chunk);
      const wrong = check?.push(chunk) ?? -1;
      if (wrong >= 0)
        throw this.#notUtf8((check?.position ?? 0) + encoding.bom + wrong, row() + splitter.commit(wrong).count);
      if (filled > 0) yield splitter.commit(filled);
      if (filled < this.#chunk) break;
    }
    if (check?.broken) throw this.#brokenOff(row(), 'the last character is not whole');
  }

  async *#transcode(
    reading: Reading,
    splitter: Splitter,
    hash: Hash | undefined,
    row: () => number,
  ): AsyncGenerator<Rows, void, undefined> {
    const { encoding } = this.layout;
    const transcoder = new Transcoder(encoding);
    const buffer = new Uint8Array(this.#chunk);
    for (let mark = encoding.bom; ; mark = 0) {
      const filled = await reading.into(buffer);
      hash?.update(buffer.subarray(0, filled));
      if (filled > mark) yield splitter.push(transcoder.push(buffer.subarray(mark, filled)));
      if (filled < this.#chunk) break;
    }
    const { rest, broken } = transcoder.end();
    if (broken) throw this.#brokenOff(row(), 'the last character is not whole');
    if (rest.length > 0) yield splitter.push(rest);
  }

  #checkLast({ rows, firstRow }: ChunkOfRows): void {
    const index = rows.count - 1;
    if (index < 0) return;
    const { delimiter, encoding, headers } = this.layout;
    const cells = parseRecord(decode(bytesOf(rows, index), encoding), delimiter);
    if (cells && cells.length < headers.length) {
      const how = `it has ${cells.length} of ${headers.length} columns and no line end`;
      throw this.#brokenOff(firstRow + index, how);
    }
  }

  #brokenOff(row: number, how: string): BrokenOff {
    return new BrokenOff(this.#file.name, row, how);
  }

  #notUtf8(position: number, row: number): WrongEncoding {
    return new WrongEncoding(
      `${this.#file.name} is UTF-8 up to row ${row}, where byte ${position} is not part of any character. Nothing was changed. ` +
        'Have the file written as UTF-8 throughout, or set format.encoding: windows-1252 (or what it is) in the feed.',
    );
  }
}

/** Bytes of a row, as a view. */
export function bytesOf(rows: Rows, index: number): Uint8Array {
  return rows.bytes.subarray(rows.start[index], rows.end[index]);
}

function behind(rows: Rows, skip: number): Rows {
  return {
    bytes: rows.bytes,
    offset: rows.offset,
    count: rows.count - skip,
    start: rows.start.subarray(skip),
    end: rows.end.subarray(skip),
    hashLow: rows.hashLow.subarray(skip),
    hashHigh: rows.hashHigh.subarray(skip),
  };
}

/** The rows' bytes one behind the other, an LF between them. */
function joined(rows: Rows, indexes: readonly number[]): Uint8Array {
  let size = 0;
  for (const index of indexes) size += (rows.end[index] ?? 0) - (rows.start[index] ?? 0) + 1;
  const target = Buffer.allocUnsafe(size);
  let at = 0;
  for (const index of indexes) {
    const bytes = bytesOf(rows, index);
    target.set(bytes, at);
    at += bytes.length;
    target[at++] = 0x0a;
  }
  return target.subarray(0, size - 1);
}
