import * as fc from 'fast-check';
import Papa from 'papaparse';
import { expect, test } from 'vitest';
import { csvRow } from '../../../../src/run/views/csv.ts';

test.each([
  ['=1+1', "'=1+1"],
  ['+31 20 1', "'+31 20 1"],
  ['-x', "'-x"],
  ['@SUM(A1)', "'@SUM(A1)"],
  ['\tx', `"'\tx"`],
  ['\rx', `"'\rx"`],
  ['\nx', `"'\nx"`],
  ['＝1+1', "'＝1+1"],
  ['  =1+1', "'  =1+1"],
  ['"=1+1', `"'""=1+1"`],
  ['\u200b=1+1', "'\u200b=1+1"],
  // Where the comma is the decimal sign, a spreadsheet ends a cell at the semicolon.
  ['a;=1+1', `"a;'=1+1"`],
  ['a;"=1+1', `"a;""'=1+1"`],
  ['a\r\n=1+1', `"a\r\n'=1+1"`],
  ['a=b', 'a=b'],
  ['Anna-Maria', 'Anna-Maria'],
  ['2026-01-31', '2026-01-31'],
])('a cell that begins like a formula is defused: %j', (cell, written) => {
  expect(csvRow([cell])).toBe(`${written}\r\n`);
});

test('numbers, booleans and nothing stay what they are', () => {
  expect(csvRow([-5, true, null, undefined, ''])).toBe('-5,true,,,\r\n');
});

test('whatever cells hold, a reader gets them back but for apostrophes, and no cell begins like a formula', () => {
  const cell = fc.oneof(
    fc.string({ unit: 'grapheme' }),
    fc.string({ unit: fc.constantFrom('=', '+', '-', '@', '＝', ' ', '"', "'", ';', ',', '\t', '\r', '\n', 'a', '1') }),
  );
  fc.assert(
    fc.property(fc.array(cell, { minLength: 2, maxLength: 6 }), (cells) => {
      const row = csvRow(cells);
      const [read = []] = Papa.parse<string[]>(row, { delimiter: ',', newline: '\r\n' }).data;
      const bare = (text: string) => text.replaceAll("'", '');
      expect(read.map(bare)).toEqual(cells.map(bare));
      for (const one of [...read, ...row.split(/[;,\t\r\n]/)]) expect(one).not.toMatch(/^[\s"]*[=+\-@＝]/);
    }),
  );
});
