import { describe, expect, test } from 'vitest';
import { DEFAULT_LIMITS, guard } from '../../../src/domain/guard.ts';
import { ACCIDENTS, type AccidentName } from '../../../src/example/accidents.ts';
import { makeCompany } from '../../../src/example/company.ts';
import { COLUMNS } from '../../../src/example/row.ts';
import { nightBytes } from '../../../src/example/write.ts';
import { cell, cellsOf, figuresBetween } from './counted.ts';

const company = makeCompany({ seed: 7, learners: 3000 });
const last = nightBytes(company, { night: 1 });
const sound = nightBytes(company, { night: 2 });
const after = (accident: AccidentName) => nightBytes(company, { night: 2, accident });
const rows = cellsOf(sound);

describe('each accident is what its name says', () => {
  test('empty and header-only', () => {
    expect(after('empty')).toHaveLength(0);
    expect(after('header-only').toString()).toBe(`${COLUMNS.join(',')}\r\n`);
  });

  test('half breaks off within a row, half-clean behind one', () => {
    const [half, clean] = [after('half'), after('half-clean')];
    for (const cut of [half, clean]) {
      expect(sound.subarray(0, cut.length).equals(cut)).toBe(true);
      expect(cut.length / sound.length).toBeCloseTo(0.5, 1);
    }
    expect(cellsOf(half).at(-1)?.length).toBeLessThan(COLUMNS.length);
    expect(clean.subarray(-2).toString()).toBe('\r\n');
    expect(sound.subarray(clean.length - 1, clean.length + 1).toString()).toMatch(/^\n\d$/);
  });

  test('shifted-column: each cell behind the External ID stands one column too early', () => {
    expect(cellsOf(after('shifted-column'))).toEqual(rows.map(([id, , ...rest]) => [id, ...rest, '']));
  });

  test('shifted-rows: each External ID stands before the cells of the next row', () => {
    const shifted = cellsOf(after('shifted-rows'));
    expect(shifted.map((row) => row[0])).toEqual(rows.map((row) => row[0]));
    expect(shifted.map((row) => row.slice(1))).toEqual([...rows.slice(1), rows[0]].map((row) => row?.slice(1)));
  });

  test('cleared-departments and everyone-left change one column of all rows', () => {
    expect(cellsOf(after('cleared-departments'))).toEqual(
      rows.map((row) => row.with(COLUMNS.indexOf('Department'), '')),
    );
    expect(cellsOf(after('everyone-left'))).toEqual(rows.map((row) => row.with(COLUMNS.indexOf('Status'), 'T')));
  });

  test('lost-zeros: External IDs as a spreadsheet would write them', () => {
    const ids = cellsOf(after('lost-zeros')).map((row) => cell(row, 'EmployeeID'));
    expect(ids).toEqual(rows.map((row) => cell(row, 'EmployeeID').replace(/^0+/, '')));
  });

  test('other-encoding: windows-1252 bytes, which are not UTF-8', () => {
    const bytes = after('other-encoding');
    expect(() => new TextDecoder('utf-8', { fatal: true }).decode(bytes)).toThrow(TypeError);
    expect(bytes.includes(Buffer.from('Müller', 'latin1'))).toBe(true);
    expect(cellsOf(bytes)).toHaveLength(rows.length);
  });

  test('unclosed-quote: one quote more, and the last cell never ends', () => {
    const text = after('unclosed-quote').toString();
    expect(text.length).toBe(sound.toString().length + 1);
    expect(cellsOf(Buffer.from(text)).at(-1)?.at(-1)).toContain('\r\n');
    expect(/"[^"]*$/.exec(text)?.[0]).toMatch(/^"\+31-20-/);
  });

  test('stray-quote: one quote more, before a first name at the middle', () => {
    const text = after('stray-quote').toString();
    const plain = sound.toString();
    let at = 0;
    while (text[at] === plain[at]) at++;
    expect(text).toHaveLength(plain.length + 1);
    expect(text[at]).toBe('"');
    expect(at / plain.length).toBeCloseTo(0.5, 1);
  });
});

test('an accident changes nothing of the night itself: without it the file is sound', () => {
  const names = Object.keys(ACCIDENTS) as AccidentName[];
  expect(names.filter((name) => after(name).equals(sound))).toEqual([]);
  expect(guard(figuresBetween(company, last, sound), DEFAULT_LIMITS)).toEqual([]);
});

test.each([
  ['header-only', 'membershipsLostPercent'],
  ['half-clean', 'membershipsLostPercent'],
  ['shifted-column', 'rejectedPercent'],
  ['shifted-rows', 'identityChangedPercent'],
  ['cleared-departments', 'membershipsLostPercent'],
  ['lost-zeros', 'createdPercent'],
  ['other-encoding', 'identityChangedPercent'],
  ['everyone-left', 'deactivatedPercent'],
] as const)('%s, read as it stands, breaks %s', (name, limit) => {
  const breaches = guard(figuresBetween(company, last, after(name)), DEFAULT_LIMITS);
  expect(breaches.map((breach) => breach.limit)).toContain(limit);
});
