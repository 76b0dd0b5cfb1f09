import { expect, test } from 'vitest';
import { counted, facts, printable, printableLines, table } from '../../../src/cli/table.ts';

test('columns are as wide as they need, numbers stand to the right', () => {
  expect(
    table(
      ['name', 'members'],
      [
        ['a', 5],
        ['long name', 1200],
      ],
    ),
  ).toBe(['NAME       MEMBERS', 'a                5', 'long name     1200'].join('\n'));
});

test('a table of 200,000 lines is one like any other', () => {
  const lines = table(
    ['name'],
    Array.from({ length: 200_000 }, (_, at) => [`learner ${at}`]),
  ).split('\n');
  expect([lines.length, lines.at(-1)]).toEqual([200_001, 'learner 199999']);
});

test('East Asian letters count for two columns, combining marks for none', () => {
  expect(
    table(
      ['name', 'id'],
      [
        ['品質', 'x'],
        ['e\u0301te', 'y'],
      ],
    ).split('\n'),
  ).toEqual(['NAME  ID', '品質  x', 'e\u0301te   y']);
});

test('text that would steer a terminal is shown, not sent', () => {
  expect(printable('a\u001b[31mred\u202e')).toBe('a·[31mred·');
  expect(printableLines('a\u001b[2J\nb\r')).toBe('a·[2J\nb·');
});

test('facts without a value are left out', () => {
  expect(
    facts([
      ['a', 1],
      ['longer', 'x'],
      ['none', ''],
      ['null', null],
    ]),
  ).toBe('a       1\nlonger  x');
});

test('a noun agrees with its number', () => {
  expect([counted(1, 'learner'), counted(1200, 'learner')]).toEqual(['1 learner', '1,200 learners']);
});
