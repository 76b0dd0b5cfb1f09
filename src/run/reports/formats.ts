import type { ReportFormat } from '../../settings/report.ts';
import { csvRow } from '../views/csv.ts';
import type { Cell, Table } from './rows.ts';
import { xlsx } from './xlsx.ts';

/** Media types of the formats. */
export const TYPES: Readonly<Record<ReportFormat, string>> = {
  csv: 'text/csv; charset=utf-8',
  xlsx: 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
  json: 'application/json',
};

/** Letters of a chunk: rows one by one would cost more than they weigh. */
const CHUNK = 64 * 1024;

/** The report in the format, a chunk at a time. */
export function written(table: Table, format: ReportFormat): AsyncGenerator<Uint8Array> {
  return format === 'xlsx' ? xlsx(table) : inChunks(format === 'csv' ? csv(table) : json(table));
}

/** What a downloaded or sent report is called. */
export function fileName({ name }: { readonly name: string }, format: ReportFormat): string {
  return `${name.replace(/[^\p{L}\p{N}._ -]+/gu, ' ').trim() || 'report'}.${format}`;
}

async function* csv({ columns, rows }: Table): AsyncGenerator<string> {
  yield csvRow(columns.map(({ title }) => title));
  for await (const row of rows) yield csvRow(row.map(flat));
}

function flat(cell: Cell): string | number | boolean | null {
  if (cell instanceof Date) return cell.toISOString();
  return cell === null || typeof cell !== 'object' ? cell : cell.join('; ');
}

/** An array of objects, keyed by the columns' names. */
async function* json({ columns, rows }: Table): AsyncGenerator<string> {
  let begin = '[\n';
  for await (const row of rows) {
    yield `${begin}${JSON.stringify(objectOf(columns, row))}`;
    begin = ',\n';
  }
  yield begin === '[\n' ? '[]\n' : '\n]\n';
}

export function objectOf(columns: Table['columns'], row: readonly Cell[]): Record<string, Cell> {
  return Object.fromEntries(columns.map(({ name }, at) => [name, row[at] ?? null]));
}

async function* inChunks(lines: AsyncIterable<string>): AsyncGenerator<Uint8Array> {
  let chunk = '';
  for await (const line of lines) {
    chunk += line;
    if (chunk.length < CHUNK) continue;
    yield Buffer.from(chunk);
    chunk = '';
  }
  if (chunk !== '') yield Buffer.from(chunk);
}
