import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** `FAULTS=all`: every point, and figures for docs/faults.md. Otherwise a sample that a test run has time for. */
export const ALL = process.env.FAULTS === 'all';
/** `FAULTS=figures`: the sample, and its figures. */
const KEEPS = ALL || process.env.FAULTS === 'figures';

const DIRECTORY = join('.muster', 'faults');

/** Keeps what a row of docs/faults.md came to, for `npm run faults`. A row may have several parts, in order of their names. */
export function figure(row: string, part: string, result: string): void {
  console.log(`fault ${row}: ${result}`);
  if (!KEEPS) return;
  mkdirSync(DIRECTORY, { recursive: true });
  writeFileSync(join(DIRECTORY, `${row}.${part}.txt`), ALL ? result : `${result} (a sample)`);
}

/** What the rows came to in the last `npm run faults`. */
export function figures(): Map<string, string> {
  const found = new Map<string, string>();
  for (const name of readdirSync(DIRECTORY).sort()) {
    const [row = ''] = name.split('.');
    const text = readFileSync(join(DIRECTORY, name), 'utf8');
    found.set(row, found.has(row) ? `${found.get(row)}; ${text}` : text);
  }
  return found;
}

/** Seconds since then, for people. */
export function secondsSince(then: number): string {
  return `${((performance.now() - then) / 1000).toFixed(1)} s`;
}
