import { createWriteStream } from 'node:fs';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import iconv from 'iconv-lite';
import { type AccidentName, accident, END_OF_LINE } from './accidents.ts';
import type { Company } from './company.ts';
import { COLUMNS } from './row.ts';
import { sheetOf, type Variant } from './sheet.ts';

/** One night's file: which night (from 1), in which order or with which edit, and what went wrong with it. */
export interface Night {
  readonly night: number;
  readonly variant?: Variant | undefined;
  readonly accident?: AccidentName | undefined;
}

export interface Written {
  /** Lines, the header left out, a broken-off last one counted. */
  readonly rows: number;
  readonly bytes: number;
}

/** Characters gathered before they are encoded. */
const CHUNK = 1 << 16;

/** The bytes of one night's file. Memory does not grow with the file. */
export function* nightChunks(company: Company, night: Night, written?: (rows: number) => void): Generator<Buffer> {
  const sheet = sheetOf(company, night.night, night.variant);
  const { header, encoding, lines } = accident(night.accident);
  const encode = (text: string) => (encoding === undefined ? Buffer.from(text) : iconv.encode(text, encoding));
  let text = header === false ? '' : COLUMNS.join(',') + END_OF_LINE;
  let rows = 0;
  for (const row of lines(sheet)) {
    text += row;
    rows++;
    if (text.length < CHUNK) continue;
    yield encode(text);
    text = '';
  }
  if (text !== '') yield encode(text);
  written?.(rows);
}

/** The whole file of a small night in memory. */
export function nightBytes(company: Company, night: Night): Buffer {
  return Buffer.concat([...nightChunks(company, night)]);
}

/** Writes one night's file to a path, or to a stream, which is ended. Equal company and night, equal bytes. */
export async function writeNight(to: Writable | string, company: Company, night: Night): Promise<Written> {
  let rows = 0;
  let bytes = 0;
  const chunks = function* (): Generator<Buffer> {
    for (const chunk of nightChunks(company, night, (count) => (rows = count))) {
      bytes += chunk.length;
      yield chunk;
    }
  };
  const sink = typeof to === 'string' ? createWriteStream(to) : to;
  await pipeline(Readable.from(chunks()), sink);
  return { rows, bytes };
}
