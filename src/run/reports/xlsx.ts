import { Readable } from 'node:stream';
import { Temporal } from 'temporal-polyfill';
import { ZipFile } from 'yazl';
import { defuse } from '../views/csv.ts';
import type { Cell, Table } from './rows.ts';

/** Rows of a sheet, the headings included; what is more goes to another sheet. */
const SHEET = 1_048_576;
/** Letters that a cell holds. */
const LONGEST = 32_767;
const CHUNK = 64 * 1024;
/** Places in `cellXfs` of the styles. `TEXT`: what is typed there, or typed again, stays text. */
const [HEADING, DATE, TEXT] = [1, 2, 3];
const NAMESPACE = 'http://schemas.openxmlformats.org/spreadsheetml/2006/main';
const RELATIONS = 'http://schemas.openxmlformats.org/officeDocument/2006/relationships';
const PACKAGE = 'http://schemas.openxmlformats.org/package/2006';
const SPREADSHEET = 'application/vnd.openxmlformats-officedocument.spreadsheetml';

/**
 * A workbook of Excel as a stream of bytes. Texts are inline strings, so that none of them is a formula, whatever it
 * begins with; numbers, flags and dates are those, dates on the wall clock of the table's zone. `sheet`: rows of one.
 */
export async function* xlsx(table: Table, { sheet = SHEET } = {}): AsyncGenerator<Uint8Array> {
  const zip = new ZipFile();
  const output = zip.outputStream as Readable;
  const rows = table.rows[Symbol.asyncIterator]();
  const part = (name: string, text: string) => zip.addBuffer(Buffer.from(`${HEAD}${text}`), name);
  const addSheet = (number: number, first: IteratorResult<readonly Cell[]>) => {
    const last = { row: first };
    const source = Readable.from(sheetOf(table, rows, last, sheet));
    source.once('error', (error) => output.destroy(error));
    source.once('end', () => {
      if (!last.row.done) return addSheet(number + 1, last.row);
      part('xl/workbook.xml', workbook(table.name, number));
      part('xl/_rels/workbook.xml.rels', relations(number));
      zip.end();
    });
    zip.addReadStream(source, `xl/worksheets/sheet${number}.xml`);
  };
  try {
    const first = await rows.next();
    part('[Content_Types].xml', CONTENT_TYPES);
    part('_rels/.rels', relationships([['officeDocument', 'xl/workbook.xml']]));
    part('xl/styles.xml', STYLES);
    addSheet(1, first);
    for await (const chunk of output) yield chunk as Uint8Array;
  } finally {
    output.destroy();
    await rows.return?.();
  }
}

/** The text of a sheet; `last.row` is the row that is next, and in the end the one that did not fit. */
async function* sheetOf(
  { columns, timeZone }: Table,
  rows: AsyncIterator<readonly Cell[]>,
  last: { row: IteratorResult<readonly Cell[]> },
  most: number,
): AsyncGenerator<string> {
  let text =
    `${HEAD}<worksheet xmlns="${NAMESPACE}"><sheetViews><sheetView workbookViewId="0">` +
    '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews><sheetData><row>' +
    `${columns.map(({ title }) => inline(title, HEADING)).join('')}</row>`;
  for (let count = 1; !last.row.done && count < most; count += 1) {
    text += '<row>';
    for (const cell of last.row.value) text += written(cell, timeZone);
    text += '</row>';
    if (text.length >= CHUNK) {
      yield text;
      text = '';
    }
    last.row = await rows.next();
  }
  yield `${text}</sheetData></worksheet>`;
}

function written(cell: Cell, timeZone: string): string {
  if (cell === null) return '<c/>';
  if (typeof cell === 'number') return `<c><v>${cell}</v></c>`;
  if (typeof cell === 'boolean') return `<c t="b"><v>${Number(cell)}</v></c>`;
  if (cell instanceof Date) return `<c s="${DATE}"><v>${serial(cell, timeZone)}</v></c>`;
  const text = typeof cell === 'string' ? cell : cell.join('; ');
  return inline(text, defuse(text) === text ? undefined : TEXT);
}

function inline(text: string, style?: number): string {
  return `<c t="inlineStr"${style === undefined ? '' : ` s="${style}"`}><is><t xml:space="preserve">${escaped(text)}</t></is></c>`;
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

const SURROGATE = /[\uD800-\uDFFF]/;

/** What XML cannot hold is written as Excel does: `_x0001_`. */
function escaped(text: string): string {
  const cut = text.length > LONGEST ? text.slice(0, LONGEST) : text;
  if (/^[\x20-\x21\x23-\x25\x27-\x3b\x3d\x3f-\x5e\x60-\x7e]*$/.test(cut)) return cut;
  return cut
    .replace(/\p{Cs}/gu, '\uFFFD')
    .replace(/_(?=x[0-9a-f]{4}_)/gi, '_x005F_')
    .replace(/[^\t\n\x20-\uFFFD]/g, (letter) =>
      SURROGATE.test(letter) ? letter : `_x${letter.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}_`,
    )
    .replace(/[&<>"]/g, (letter: string) => ENTITIES[letter] as string);
}

const DAY = 86_400_000;
/** The day 0 of Excel, as it is for all dates from March 1900 on. */
const EPOCH = Date.UTC(1899, 11, 30);

/** Days since 1899-12-30 on the wall clock of the zone. */
function serial(at: Date, timeZone: string): number {
  const zone = Temporal.Instant.fromEpochMilliseconds(at.getTime()).toZonedDateTimeISO(timeZone);
  return (at.getTime() + zone.offsetNanoseconds / 1_000_000 - EPOCH) / DAY;
}

const HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n';
/** A part is a sheet unless it is named here, so the number of sheets need not be known beforehand. */
const CONTENT_TYPES =
  `<Types xmlns="${PACKAGE}/content-types">` +
  '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>' +
  `<Default Extension="xml" ContentType="${SPREADSHEET}.worksheet+xml"/>` +
  `<Override PartName="/xl/workbook.xml" ContentType="${SPREADSHEET}.sheet.main+xml"/>` +
  `<Override PartName="/xl/styles.xml" ContentType="${SPREADSHEET}.styles+xml"/></Types>`;
const STYLES =
  `<styleSheet xmlns="${NAMESPACE}"><numFmts count="1"><numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd\\ hh:mm"/></numFmts>` +
  '<fonts count="2"><font><sz val="11"/><name val="Calibri"/></font><font><b/><sz val="11"/><name val="Calibri"/></font></fonts>' +
  '<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills>' +
  '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>' +
  '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs><cellXfs count="4">' +
  '<xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>' +
  '<xf numFmtId="49" fontId="1" fillId="0" borderId="0" xfId="0" applyFont="1" applyNumberFormat="1" quotePrefix="1"/>' +
  '<xf numFmtId="164" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>' +
  '<xf numFmtId="49" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1" quotePrefix="1"/>' +
  '</cellXfs></styleSheet>';

/** Sheets are called by the report; Excel allows 31 letters, and some not. */
function workbook(name: string, count: number): string {
  const title =
    name
      .replace(/[[\]:*?/\\']/g, ' ')
      .slice(0, 24)
      .trim() || 'Report';
  const sheets = Array.from({ length: count }, (_, at) => {
    const called = at === 0 ? title : `${title} ${at + 1}`;
    return `<sheet name="${escaped(called)}" sheetId="${at + 1}" r:id="rId${at + 1}"/>`;
  });
  return `<workbook xmlns="${NAMESPACE}" xmlns:r="${RELATIONS}"><sheets>${sheets.join('')}</sheets></workbook>`;
}

function relations(count: number): string {
  const sheets = Array.from({ length: count }, (_, at) => ['worksheet', `worksheets/sheet${at + 1}.xml`] as const);
  return relationships([...sheets, ['styles', 'styles.xml']]);
}

function relationships(of: readonly (readonly [type: string, target: string])[]): string {
  const all = of.map(
    ([type, target], at) => `<Relationship Id="rId${at + 1}" Type="${RELATIONS}/${type}" Target="${target}"/>`,
  );
  return `<Relationships xmlns="${PACKAGE}/relationships">${all.join('')}</Relationships>`;
}
