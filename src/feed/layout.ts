import Papa from 'papaparse';
import type { FeedSettings } from '../settings/feed.ts';
import { nearest } from '../settings/nearest.ts';
import { decode, type Encoding } from './decode.ts';
import { HeaderUnfit } from './errors.ts';
import { parseRecord } from './records.ts';
import { REASON_COLUMN, ROW_COLUMN } from './rejected.ts';
import { createSplitter } from './rows/splitter.ts';

export interface Layout {
  readonly encoding: Encoding;
  readonly delimiter: string;
  /** Trimmed and NFC, in the order of the file. */
  readonly headers: readonly string[];
  /** Row number of the header: 1, unless blank rows stand before it. */
  readonly headerRow: number;
  /** The header's bytes: of the file, or in UTF-8 where the file's own encoding cannot be split. */
  readonly headerBytes: Uint8Array;
  readonly lineEnd: '\n' | '\r\n' | '\r';
}

const CANDIDATES = [',', ';', '\t', '|'] as const;
const LOOKED_AT = 100;

/**
 * Finds delimiter and header in a file's first bytes, which are free of a byte order mark and can be split. Throws
 * HeaderUnfit where the feed's columns are not all there, once each (R16).
 */
export function layoutOf(
  sample: Uint8Array,
  whole: boolean,
  encoding: Encoding,
  settings: FeedSettings,
  name: string,
): Layout {
  if (sample.length === 0) throw unfit(`${name} is empty`, 'Have the file delivered again');
  const needed = columnsOf(settings);
  const delimiter =
    settings.format.delimiter === 'auto'
      ? delimiterOf(decode(sample, encoding), whole, needed)
      : settings.format.delimiter;
  const splitter = createSplitter({ delimiter: delimiter.charCodeAt(0) });
  const rows = splitter.push(sample);
  const first = Array.from({ length: rows.count }, (_, row) => row).find((row) => rows.end[row] !== rows.start[row]);
  if (first === undefined) {
    throw unfit(
      `${name} has no row that ends${whole ? '' : ` within its first ${sample.length} bytes`}, so no header that is whole`,
      'Have the file delivered again',
    );
  }
  const end = rows.end[first] ?? 0;
  const headerBytes = rows.bytes.slice(rows.start[first], end);
  const cells = parseRecord(decode(headerBytes, encoding), delimiter);
  if (!cells) throw unfit(`${name} has a header whose quotes are not closed`, 'Mend the header');
  const headers = cells.map((cell) => cell.trim().normalize('NFC'));
  checkHeaders(headers, needed, name);
  const lineEnd = sample[end] === 0x0a ? '\n' : sample[end + 1] === 0x0a ? '\r\n' : '\r';
  return { encoding, delimiter, headers, headerRow: first + 1, headerBytes, lineEnd };
}

/** Every column that the settings name, with the key that names it; `optional` ones may be missing. */
export function columnsOf(
  settings: FeedSettings,
): ReadonlyMap<string, { readonly key: string; readonly optional: boolean }> {
  const { learner, groups, window, action } = settings;
  const columns = new Map<string, { key: string; optional: boolean }>();
  const name = (column: string | undefined, key: string, optional = false) => {
    if (column !== undefined && (columns.get(column)?.optional ?? true)) columns.set(column, { key, optional });
  };
  for (const key of ['externalId', 'email', 'firstName', 'lastName'] as const) {
    name(learner[key]?.column, `learner.${key}`, learner[key]?.optional);
  }
  name(learner.status?.column, 'learner.status');
  for (const [attribute, { column, optional }] of Object.entries(learner.attributes)) {
    name(column, `learner.attributes.${attribute}`, optional);
  }
  for (const [index, group] of groups.entries()) {
    name(group.column, `groups[${index}]`);
    name(group.name, `groups[${index}].name`);
    name(group.parent?.column, `groups[${index}].parent`);
  }
  name(window.from, 'window.from');
  name(window.until, 'window.until');
  name(action?.column, 'action');
  return columns;
}

function checkHeaders(headers: readonly string[], needed: ReturnType<typeof columnsOf>, name: string): void {
  const problems: string[] = [];
  const seen = new Map<string, number>();
  for (const [index, header] of headers.entries()) {
    const before = seen.get(header);
    if (header === ROW_COLUMN || header === REASON_COLUMN) continue;
    if (header === '') problems.push(`column ${index + 1} has no name`);
    else if (before !== undefined)
      problems.push(`column ${quote(header)} is there twice, as columns ${before + 1} and ${index + 1}`);
    else seen.set(header, index);
  }
  for (const [column, { key, optional }] of needed) {
    if (optional || seen.has(column)) continue;
    const meant = nearest(column, [...seen.keys()]);
    problems.push(
      `column ${quote(column)} (${key}) is missing${meant === undefined ? '' : ` (is it ${quote(meant)} now?)`}`,
    );
  }
  if (problems.length === 0) return;
  throw unfit(
    `The header of ${name} does not fit the feed: ${problems.join('; ')}. The file has the columns ${headers.map(quote).join(', ')}`,
    "Mend the file's header, or the feed's mapping",
  );
}

/**
 * The delimiter under which the most mapped columns are in the header; among equals the one by which the first 100
 * rows agree best on the number of columns, then the one that makes more of them.
 */
function delimiterOf(sample: string, entire: boolean, needed: ReadonlyMap<string, unknown>): string {
  const text = firstLines(sample, 4 * LOOKED_AT);
  const whole = entire && text.length === sample.length;
  const scored = CANDIDATES.map((delimiter) => {
    const { data } = Papa.parse<string[]>(text, { delimiter, preview: LOOKED_AT + 1 });
    if (!whole && data.length <= LOOKED_AT && data.length > 1) data.pop();
    const rows = data.filter((cells) => cells.length > 1 || cells[0] !== '');
    const counts = new Map<number, number>();
    for (const { length } of rows) counts.set(length, (counts.get(length) ?? 0) + 1);
    const [columns, agreeing] = [...counts].sort((a, b) => b[1] - a[1] || b[0] - a[0])[0] ?? [1, 0];
    const header = new Set(rows[0]?.map((cell) => cell.trim().normalize('NFC')));
    const mapped = [...needed.keys()].filter((column) => header.has(column)).length;
    return { delimiter, columns, mapped, agreement: columns > 1 ? agreeing / rows.length : 0 };
  });
  scored.sort((a, b) => b.mapped - a.mapped || b.agreement - a.agreement || b.columns - a.columns);
  return scored[0]?.delimiter ?? ',';
}

/** The text up to so many line feeds: the parser walks through all that it is given, to find out how lines end. */
function firstLines(text: string, lines: number): string {
  let end = -1;
  for (let line = 0; line < lines; line += 1) {
    end = text.indexOf('\n', end + 1);
    if (end < 0) return text;
  }
  return text.slice(0, end + 1);
}

function unfit(fact: string, remedy: string): HeaderUnfit {
  return new HeaderUnfit(`${fact}. Nothing was changed. ${remedy}.`);
}

function quote(name: string): string {
  return `\`${name}\``;
}
