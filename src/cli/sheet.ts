import { resolve } from 'node:path';
import { text as textOf } from 'node:stream/consumers';
import { UsageError } from '../domain/errors.ts';
import { parseRecords } from '../feed/records.ts';
import type { Cli } from './cli.ts';
import { readText } from './readText.ts';

/**
 * A CSV file (`-`: standard input) as rows by column, `,` or `;` between cells. Every needed column has to be there.
 * @throws {UsageError} that names what is missing.
 */
export async function readSheet(cli: Cli, file: string, needed: readonly string[]): Promise<Record<string, string>[]> {
  const text = file === '-' ? await textOf(cli.stdin) : readText(resolve(cli.directory, file));
  const lines = text.replace(/^\ufeff/, '').replace(/\r\n?/g, '\n');
  const header = lines.slice(0, lines.indexOf('\n') >>> 0);
  const { records, sound } = parseRecords(lines, header.includes(';') ? ';' : ',');
  if (!sound && records.length > 1)
    throw new UsageError(`${file} has quotes that are not as CSV has them; nothing was changed.`);
  const [head = [], ...rows] = records.map((cells) => cells.map((cell) => cell.trim().normalize('NFC')));
  const missing = needed.find((column) => !head.includes(column));
  if (missing !== undefined)
    throw new UsageError(`${file} has no column ${missing}; nothing was changed. Columns: ${head.join(', ')}.`);
  return rows
    .filter((cells) => cells.some((cell) => cell !== ''))
    .map((cells) => Object.fromEntries(head.map((column, at) => [column, cells[at] ?? ''])));
}
