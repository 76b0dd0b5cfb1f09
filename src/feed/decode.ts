import { isUtf8 } from 'node:buffer';
import chardet from 'chardet';
import iconv from 'iconv-lite';
import { WrongEncoding } from './errors.ts';

/** How much of a file is looked at to find its encoding and layout, in bytes. */
export const SAMPLE = 256 * 1024;

export interface Encoding {
  /** Name as in the setting `format.encoding`, never `auto`. */
  readonly name: string;
  /** What it was told by. */
  readonly by: 'bom' | 'content' | 'setting' | 'guess';
  /** Length of the byte order mark, to be left out. */
  readonly bom: number;
  /**
   * Rows can be found in the bytes as they are: quotes, delimiters and line ends are never part of another
   * character. False: the stream is made UTF-8 first.
   */
  readonly splittable: boolean;
}

const BOMS: readonly (readonly [string, readonly number[]])[] = [
  ['utf-8', [0xef, 0xbb, 0xbf]],
  ['utf-16le', [0xff, 0xfe]],
  ['utf-16be', [0xfe, 0xff]],
];

/** Encodings of one byte a character that chardet may name; what it calls Latin-1 is windows-1252 in files. */
const HINTS: Readonly<Record<string, string>> = {
  'ISO-8859-1': 'windows-1252',
  'windows-1250': 'windows-1250',
  'windows-1251': 'windows-1251',
  'windows-1253': 'windows-1253',
  'windows-1254': 'windows-1254',
  'windows-1255': 'windows-1255',
  'windows-1256': 'windows-1256',
  'ISO-8859-2': 'iso-8859-2',
  'ISO-8859-5': 'iso-8859-5',
  'ISO-8859-7': 'iso-8859-7',
  'KOI8-R': 'koi8-r',
  Shift_JIS: 'shift_jis',
  'EUC-JP': 'euc-jp',
  'EUC-KR': 'euc-kr',
  Big5: 'big5',
  GB18030: 'gb18030',
};
/** Below this confidence (0–100) a hint is no better than the commonest encoding. */
const CONFIDENT = 60;

/**
 * Decides the encoding by a file's first bytes: byte order mark, then strict UTF-8, then the feed's setting, then
 * a guess. A sample of nothing but ASCII speaks for no encoding, so there the setting comes first.
 */
export function encodingOf(sample: Uint8Array, whole: boolean, setting: string, name: string): Encoding {
  for (const [encoding, mark] of BOMS) {
    if (mark.every((byte, at) => sample[at] === byte)) return { ...of(encoding, 'bom'), bom: mark.length };
  }
  if (sample[0] === 0x50 && sample[1] === 0x4b && sample[2] === 3 && sample[3] === 4) {
    throw new WrongEncoding(
      `${name} is a zip or XLSX file, not CSV. Nothing was changed. Save it as CSV (UTF-8) and import that.`,
    );
  }
  if (sample.includes(0)) return ofNulls(sample, setting, name);
  const text = whole ? sample : sample.subarray(0, sample.length - unfinished(sample));
  if (isUtf8(text)) {
    if (setting === 'auto' || setting === 'utf-8' || sample.some((byte) => byte > 0x7f)) return of('utf-8', 'content');
    return of(setting, 'setting');
  }
  if (setting === 'utf-8') {
    throw new WrongEncoding(
      `${name} is not UTF-8, as format.encoding says: byte ${firstInvalid(text)} is not part of any character. ` +
        'Nothing was changed. Deliver the file as UTF-8, or set format.encoding to what it is (windows-1252 or auto, most often).',
    );
  }
  if (setting !== 'auto') return of(setting, 'setting');
  if (mostlyUtf8(text)) {
    throw new WrongEncoding(
      `${name} is UTF-8 but for single bytes: byte ${firstInvalid(text)} is not part of any character. Nothing was changed. ` +
        'Have the file written as UTF-8 throughout, or set format.encoding to what it is (windows-1252, most often).',
    );
  }
  return of(hint(sample), 'guess');
}

/**
 * Are there at least as many whole characters of several bytes as bytes that belong to none? Text of one byte a
 * character hardly ever looks so: its accented letters stand alone between ASCII.
 */
function mostlyUtf8(text: Uint8Array): boolean {
  let whole = 0;
  let wrong = 0;
  for (let at = 0; at < text.length; ) {
    const byte = text[at] ?? 0;
    const length = byte < 0x80 ? 1 : lengthOf(byte);
    if (byte < 0x80) at += 1;
    else if (length > 1 && at + length <= text.length && isUtf8(text.subarray(at, at + length))) {
      whole += 1;
      at += length;
    } else {
      wrong += 1;
      at += 1;
    }
  }
  return whole >= wrong;
}

/** Text of bytes in that encoding, without a byte order mark. */
export function decode(bytes: Uint8Array, encoding: Encoding): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return encoding.name === 'utf-8' || !encoding.splittable
    ? buffer.toString('utf8')
    : iconv.decode(buffer, encoding.name);
}

/** Bytes of a text in the file's own encoding. */
export function encode(text: string, encoding: Encoding): Uint8Array {
  return encoding.name === 'utf-8' ? Buffer.from(text, 'utf8') : iconv.encode(text, encoding.name, { addBOM: false });
}

/** The byte order mark that the file began with. */
export function markOf(encoding: Encoding): Uint8Array {
  const mark = encoding.bom > 0 ? BOMS.find(([name]) => name === encoding.name)?.[1] : undefined;
  return Uint8Array.from(mark ?? []);
}

/** Turns a stream that cannot be split as it is (UTF-16, Shift JIS …) into UTF-8. */
export class Transcoder {
  readonly #decoder: ReturnType<typeof iconv.getDecoder>;
  readonly #pair: boolean;
  #odd = false;
  /** The first half of a surrogate pair whose second half has not come yet; the decoders may tear pairs. */
  #half = '';

  constructor(encoding: Encoding) {
    this.#decoder = iconv.getDecoder(encoding.name, { stripBOM: false });
    this.#pair = encoding.name.startsWith('utf-16');
  }

  push(chunk: Uint8Array): Uint8Array {
    if (chunk.length % 2 === 1) this.#odd = !this.#odd;
    const text = this.#half + this.#decoder.write(Buffer.from(chunk));
    this.#half = isHighSurrogate(text.charCodeAt(text.length - 1)) ? text.slice(-1) : '';
    return Buffer.from(text.slice(0, text.length - this.#half.length), 'utf8');
  }

  /** `broken`: the stream ended within a character. */
  end(): { readonly rest: Uint8Array; readonly broken: boolean } {
    const rest = this.#half + (this.#decoder.end() ?? '');
    return { rest: Buffer.from(rest, 'utf8'), broken: rest !== '' || (this.#pair && this.#odd) };
  }
}

/** Proves chunk by chunk that a stream is UTF-8. */
export class Utf8Check {
  #carried = new Uint8Array(0);
  #position = 0;

  /** Offset in `chunk` of the first byte that is wrong (0 where a character begun earlier is not finished right), or -1. */
  push(chunk: Uint8Array): number {
    let from = 0;
    if (this.#carried.length > 0) {
      from = Math.min(chunk.length, lengthOf(this.#carried[0] ?? 0) - this.#carried.length);
      const joined = Buffer.concat([this.#carried, chunk.subarray(0, from)]);
      if (joined.length === unfinished(joined)) {
        this.#carried = joined;
        this.#position += chunk.length;
        return -1;
      }
      if (!isUtf8(joined)) return 0;
    }
    const tail = from < chunk.length ? unfinished(chunk.subarray(from)) : 0;
    const sure = chunk.subarray(from, chunk.length - tail);
    if (!isUtf8(sure)) return from + firstInvalid(sure);
    this.#carried = chunk.slice(chunk.length - tail);
    this.#position += chunk.length;
    return -1;
  }

  /** Bytes seen before the chunk in hand. */
  get position(): number {
    return this.#position;
  }

  /** The stream ended within a character. */
  get broken(): boolean {
    return this.#carried.length > 0;
  }
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

function of(name: string, by: Encoding['by']): Encoding {
  return { name, by, bom: 0, splittable: /^(utf-8|windows-|iso-8859-|koi8|macintosh)/.test(name) };
}

/** NUL bytes are every other byte of UTF-16 in Western scripts, and of its delimiters and line ends in all. */
function ofNulls(sample: Uint8Array, setting: string, name: string): Encoding {
  if (setting === 'utf-16le' || setting === 'utf-16be') return of(setting, 'setting');
  const nulls = [0, 0];
  sample.forEach((byte, at) => {
    if (byte === 0) nulls[at & 1] = (nulls[at & 1] ?? 0) + 1;
  });
  const [even = 0, odd = 0] = nulls;
  if (odd > 9 * even && 8 * odd > sample.length / 2) return of('utf-16le', 'content');
  if (even > 9 * odd && 8 * even > sample.length / 2) return of('utf-16be', 'content');
  throw new WrongEncoding(
    `${name} holds NUL bytes (the first is byte ${sample.indexOf(0)}), so it is no text file. Nothing was changed. Deliver it as CSV in UTF-8.`,
  );
}

function hint(sample: Uint8Array): string {
  const [best] = chardet.analyse(sample);
  const named = best && best.confidence >= CONFIDENT ? HINTS[best.name] : undefined;
  return named ?? 'windows-1252';
}

/** Bytes at the end that begin a character which may go on behind it: 0 to 3. */
function unfinished(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    if (byte >= 0xc0) return lengthOf(byte) > back ? back : 0;
    if (byte < 0x80) return 0;
  }
  return 0;
}

function lengthOf(lead: number): number {
  return lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
}

/** Offset of the first byte that begins no whole UTF-8 character. */
function firstInvalid(bytes: Uint8Array): number {
  let at = 0;
  for (let step = 1 << 30; step > 0; step >>= 1) {
    while (at + step <= bytes.length) {
      const part = bytes.subarray(at, at + step);
      const cut = part.length - unfinished(part);
      if (cut === 0 || !isUtf8(part.subarray(0, cut))) break;
      at += cut;
    }
  }
  while (at < bytes.length) {
    const length = lengthOf(bytes[at] ?? 0);
    if (!isUtf8(bytes.subarray(at, at + length))) break;
    at += length;
  }
  return at;
}
