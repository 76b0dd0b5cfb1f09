import * as fc from 'fast-check';
import Papa from 'papaparse';
import { expect, test } from 'vitest';
import { csvRow } from '../../../../src/run/views/csv.ts';

test.each([
  ['=1+1', "'=1+1"],
  ['+31 20 1', "'+31 20 1"],
  ['-x', "'-x"],
  ['@SUM(A1)', "'@SUM(A1)"],
  ['\tx', "'\tx"],
  ['\rx', `"'\rx"`],
  ['a=b', 'a=b'],
])('a cell that begins like a formula is defused: %j', (cell, written) => {
  expect(csvRow([cell])).toBe(`${written}\r\n`);
});

test('numbers, booleans and nothing stay what they are', () => {
  expect(csvRow([-5, true, null, undefined, ''])).toBe('-5,true,,,\r\n');
});

test('whatever cells hold, a reader gets them back, and no cell begins like a formula', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'grapheme' }), { minLength: 2, maxLength: 6 }), (cells) => {
      const { data } = Papa.parse<string[]>(csvRow(cells), { delimiter: ',', newline: '\r\n' });
      expect(data[0]).toEqual(cells.map((cell) => (/^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell)));
    }),
  );
});
