import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { written } from '../../src/run/reports/formats.ts';
import { csvRow } from '../../src/run/views/csv.ts';
import { PAYLOADS, payloadTable } from '../unit/run/reports/payloads.ts';

const directory = mkdtempSync(join(tmpdir(), 'muster-office-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** `separator`: what the spreadsheet takes for the end of a cell. Formulas in CSV are evaluated. */
function opened(file: string, separator?: string): string {
  // Separator, quote, UTF-8, from line 1; quoted cells are no texts by that alone; numbers are detected; formulas evaluated.
  const filter = separator && `CSV:${separator.charCodeAt(0)},34,76,1,,0,false,true,false,false,false,-1,true`;
  const out = join(directory, 'out');
  execFileSync(
    'soffice',
    [
      `-env:UserInstallation=file://${join(directory, 'profile')}`,
      '--headless',
      ...(filter ? [`--infilter=${filter}`] : []),
      '--convert-to',
      'fods',
      '--outdir',
      out,
      file,
    ],
    { stdio: 'pipe' },
  );
  return readFileSync(
    join(
      out,
      file
        .split('/')
        .at(-1)
        ?.replace(/\.\w+$/, '.fods') as string,
    ),
    'utf8',
  );
}

const formulas = (sheet: string): string[] => sheet.match(/table:formula="[^"]*"|<table:dde-link/g) ?? [];

async function saved(name: string, format: 'csv' | 'xlsx'): Promise<string> {
  const chunks = [];
  for await (const chunk of written(payloadTable(), format)) chunks.push(chunk);
  const file = join(directory, name);
  writeFileSync(file, Buffer.concat(chunks));
  return file;
}

test('the check finds formulas where nobody defuses them', () => {
  const file = join(directory, 'raw.csv');
  writeFileSync(file, PAYLOADS.map((text) => `"${text.replaceAll('"', '""')}"\r\n`).join(''));
  expect(formulas(opened(file, ',')).length).toBeGreaterThan(5);
  writeFileSync(file, csvRow(['a']) + PAYLOADS.map((text) => `x${text}\r\n`).join(''));
  expect(formulas(opened(file, ';')).length).toBeGreaterThan(1);
});

test.each([',', ';', '\t', '|'])('CSV opened with %j between its cells holds no formula', async (separator) => {
  const sheet = opened(await saved('report.csv', 'csv'), separator);
  expect(formulas(sheet)).toEqual([]);
  expect(sheet).toContain('&apos;=1+1');
});

test('XLSX holds no formula, every payload as text, and numbers and dates as such', async () => {
  const sheet = opened(await saved('report.xlsx', 'xlsx'));
  expect(formulas(sheet)).toEqual([]);
  expect(sheet.match(/office:value-type="string"/g)).toHaveLength(4 + 2 * PAYLOADS.length);
  expect(sheet.match(/office:value-type="float" office:value="-1.5"/g)).toHaveLength(PAYLOADS.length);
  expect(sheet.match(/office:date-value="2026-07-01T14:00:00/g)).toHaveLength(PAYLOADS.length);
});
