import { describe, expect, test, vi } from 'vitest';
import { fold } from '../../src/domain/structure.ts';
import { compileDates } from '../../src/feed/dates.ts';
import { compileMapping } from '../../src/feed/mapping.ts';
import { parseRecord } from '../../src/feed/records.ts';
import { REASON_COLUMN, ROW_COLUMN } from '../../src/feed/rejected.ts';
import { fits } from '../../src/feed/sources/file.ts';
import { LearnerEditShape } from '../../src/http/shapes/learners.ts';
import { networkOf } from '../../src/http/tries.ts';
import { defuse } from '../../src/run/views/csv.ts';
import { readFeedFile } from '../../src/settings/feed.ts';
import { feed } from './feed/reading.ts';

vi.setConfig({ testTimeout: 120_000 });

/** What an attacker writes: texts on which patterns that go back take long. */
const TEXTS: Readonly<Record<string, (n: number) => string>> = {
  letters: (n) => 'a'.repeat(n),
  spaces: (n) => `${' '.repeat(n)}x`,
  'tabs and no end': (n) => `=${'\t'.repeat(n)}x`,
  separators: (n) => `=${';'.repeat(n)}`,
  'separators with spaces': (n) => `=${'; '.repeat(n / 2)}`,
  quotes: (n) => `a${'"'.repeat(n)}b`,
  'quotes and separators': (n) => ';;"""'.repeat(n / 5),
  'open quotes': (n) => `a;"${'""'.repeat(n / 2)}`,
  zeros: (n) => `x${'0'.repeat(n)}y`,
  'numbers between separators': (n) => ';1;1'.repeat(n / 4),
  'at signs': (n) => 'a@'.repeat(n / 2),
  'no space but at the end': (n) => `a@${'b'.repeat(n)} `,
  colons: (n) => ':'.repeat(n),
  controls: (n) => '\u0000\u200b'.repeat(n / 2),
  'half pairs': (n) => '\ud800'.repeat(n),
};

const settings = feed();
const HEADERS = ['Nr', 'Mail', 'Name', 'Groups'];
const mapper = compileMapping(settings, HEADERS, ';');
const again = compileMapping(settings, [...HEADERS, ROW_COLUMN, REASON_COLUMN, ROW_COLUMN, REASON_COLUMN], ';');
const date = compileDates('auto', 'UTC');

/** What reads texts from outside by patterns. */
const READERS: Readonly<Record<string, (text: string) => unknown>> = {
  'an External ID that is nearly one': fold,
  'a row whose quotes are not right': (text) => mapper.badQuotes(text, 1),
  'a row of a file that was rejected twice': (text) => again.badQuotes(text, 1),
  'a row': (text) => parseRecord(text, ';'),
  'a date': date,
  'a cell against formulas': defuse,
  'an address of a network': networkOf,
  'an e-mail address of the API': (text) => LearnerEditShape.safeParse({ email: text }).success,
};

/**
 * ms. Where time grows with the square of the length, this many letters take minutes; where it grows with the length, a
 * small part of a second, even on a machine that is busy with other things.
 */
const LETTERS = 400_000;
const PATIENCE = 5_000;

function timeOf(work: () => unknown): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}

describe.each(Object.entries(READERS))('reading %s takes time by length, not by its square', (_, read) => {
  test.each(Object.entries(TEXTS))('of %s', (_, text) => {
    expect(timeOf(() => read(text(LETTERS)))).toBeLessThan(PATIENCE);
  });
});

describe('a pattern of file names', () => {
  test.each([
    ['*.csv', 'hr.csv', true],
    ['*.csv', 'hr.csv.tmp', false],
    ['hr-????.csv', 'hr-2026.csv', true],
    ['hr-????.csv', 'hr-26.csv', false],
    ['*', '', true],
    ['a*b*c', 'a-b-b-c', true],
    ['a*b*c', 'a-b-c-d', false],
    ['**', 'x', true],
    ['?', '😀', true],
    ['[a-z].csv', 'a.csv', false],
    ['a.csv', 'axcsv', false],
  ])('%s and %s: %s', (pattern, name, does) => {
    expect(fits(pattern, name)).toBe(does);
  });

  test('with many stars takes no time on a name that nearly fits', () => {
    expect(timeOf(() => fits(`${'*a'.repeat(60)}*b`, 'a'.repeat(255)))).toBeLessThan(PATIENCE);
  });
});

describe('a feed file', () => {
  test.each([
    ['brackets', (n: number) => '['.repeat(n)],
    ['braces', (n: number) => '{a: '.repeat(n / 4)],
    ['dashes', (n: number) => '- '.repeat(n / 2)],
    ['keys', (n: number) => Array.from({ length: n / 10 }, (_, at) => `key${at}: 1\n`).join('')],
    ['anchors', (n: number) => '&a '.repeat(n / 3)],
    ['spaces', (n: number) => `a: ${' '.repeat(n)}x: y`],
    ['quotes', (n: number) => `a: "${"''".repeat(n / 2)}`],
    ['aliases', (n: number) => `a: &a [x]\nb: [${'*a,'.repeat(n / 3)}]`],
  ])('of %s is refused in a time that people wait', (_, text) => {
    const refused = () => expect(() => readFeedFile(text(50_000), 'feed')).toThrow(/not a feed that can be used/);
    expect(timeOf(refused)).toBeLessThan(2 * PATIENCE);
  });
});
