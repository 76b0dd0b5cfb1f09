import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { DEFAULT_LIMITS, guard } from '../../../src/domain/guard.ts';
import { makeCompany } from '../../../src/example/company.ts';
import { permutation } from '../../../src/example/randomness.ts';
import { COLUMNS, MAPPED_COLUMNS } from '../../../src/example/row.ts';
import { nightBytes, nightChunks, writeNight } from '../../../src/example/write.ts';
import { cell, cellsOf, figuresBetween, groupsOf } from './counted.ts';

const company = makeCompany({ seed: 7, learners: 12_000 });
const night = (number: number) => nightBytes(company, { night: number });
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const byId = (file: Buffer) => new Map(cellsOf(file).map((row) => [cell(row, 'EmployeeID'), row]));

describe('the same seed gives the same bytes', () => {
  test('pinned: 2,000 learners, night 9', () => {
    const small = makeCompany({ seed: 1, learners: 2000 });
    expect(sha256(nightBytes(small, { night: 9 }))).toBe(
      '10d4a13780b2533a36373d59d3adca4447a9df4f3db990472124493899536ae3',
    );
  });

  test('another seed or night gives other bytes', () => {
    const first = sha256(night(1));
    expect(sha256(night(1))).toBe(first);
    expect(sha256(night(2))).not.toBe(first);
    expect(sha256(nightBytes({ ...company, seed: 8 }, { night: 1 }))).not.toBe(first);
  });

  test('path, stream and memory get the same', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'muster-example-'));
    try {
      const path = join(folder, 'hr.csv');
      const stream = new PassThrough();
      const [written, , streamed] = await Promise.all([
        writeNight(path, company, { night: 3 }),
        writeNight(stream, company, { night: 3 }),
        buffer(stream),
      ]);
      expect(sha256(await readFile(path))).toBe(sha256(night(3)));
      expect(sha256(streamed)).toBe(sha256(night(3)));
      expect(written).toEqual({ rows: cellsOf(night(3)).length, bytes: night(3).length });
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe('a night looks like an HR department', () => {
  const file = night(1);
  const rows = cellsOf(file);
  const active = rows.filter((row) => cell(row, 'Status') === 'A');

  test('one row for each learner, of 12 columns and some 140 bytes', () => {
    expect(rows).toHaveLength(12_000);
    expect(COLUMNS).toHaveLength(12);
    expect(rows.every((row) => row.length === 12)).toBe(true);
    expect(file.length / rows.length).toBeGreaterThan(130);
    expect(file.length / rows.length).toBeLessThan(150);
  });

  test('External IDs are unique and begin with zeros, e-mail addresses are unique', () => {
    expect(new Set(rows.map((row) => cell(row, 'EmployeeID'))).size).toBe(rows.length);
    expect(rows.every((row) => /^000\d{6}$/.test(cell(row, 'EmployeeID')))).toBe(true);
    expect(new Set(rows.map((row) => cell(row, 'Mail').toLowerCase())).size).toBe(rows.length);
    expect(rows.every((row) => /^[a-z]+(\.[a-z]+)+\.[a-z\d]+@[a-z.-]+\.example$/.test(cell(row, 'Mail')))).toBe(true);
  });

  test('some 2 memberships and 4 courses a learner', () => {
    const parents = new Map(company.groups.map((group) => [group.externalId as string, group.parent as string | null]));
    const coursesOf = (group: string | null): string[] =>
      group === null
        ? []
        : [
            ...company.links.filter((link) => link.group === group).map((link) => link.course as string),
            ...coursesOf(parents.get(group) ?? null),
          ];
    const courses = new Map(company.groups.map((group) => [group.externalId as string, coursesOf(group.externalId)]));
    const memberships = active.flatMap(groupsOf).length / active.length;
    const subscriptions = active
      .map((row) => new Set(groupsOf(row).flatMap((group) => courses.get(group) ?? [])).size)
      .reduce((sum, count) => sum + count, 0);
    expect(memberships).toBeCloseTo(2, 1);
    expect(subscriptions / active.length).toBeGreaterThan(3.7);
    expect(subscriptions / active.length).toBeLessThan(4.4);
  });

  test.each([
    ['Latin with diacritics', /[À-ſ]/],
    ['Vietnamese', /[Ạ-ỹ]/],
    ['Greek', /\p{Script=Greek}/u],
    ['Cyrillic', /\p{Script=Cyrillic}/u],
    ['Arabic', /\p{Script=Arabic}/u],
    ['Hebrew', /\p{Script=Hebrew}/u],
    ['Devanagari', /\p{Script=Devanagari}/u],
    ['Han', /\p{Script=Han}/u],
    ['Kana', /[\p{Script=Hiragana}\p{Script=Katakana}]/u],
    ['Hangul', /\p{Script=Hangul}/u],
    ['Thai', /\p{Script=Thai}/u],
    ['outside the basic plane', /[\u{10000}-\u{10ffff}]/u],
    ['commas', /,/],
    ['quotes', /"/],
    ['apostrophes', /'/],
  ])('names have %s', (_what, script) => {
    expect(rows.some((row) => script.test(`${cell(row, 'FirstName')} ${cell(row, 'LastName')}`))).toBe(true);
  });
});

describe('from night to night', () => {
  test('some 1 % of the rows change, some 29 % of them in mapped columns', () => {
    const mapped = MAPPED_COLUMNS.map((column) => COLUMNS.indexOf(column));
    const count = { rows: 0, changed: 0, inMapped: 0 };
    let before = byId(night(1));
    for (let number = 2; number <= 7; number++) {
      const after = byId(night(number));
      const changed = [...after].filter(([id, row]) => before.get(id)?.join('\n') !== row.join('\n'));
      count.rows += after.size;
      count.changed += changed.length;
      count.inMapped += changed.filter(([id, row]) =>
        mapped.some((column) => before.get(id)?.[column] !== row[column]),
      ).length;
      before = after;
    }
    expect(count.changed / count.rows).toBeGreaterThan(0.008);
    expect(count.changed / count.rows).toBeLessThan(0.012);
    expect(count.inMapped / count.changed).toBeGreaterThan(0.24);
    expect(count.inMapped / count.changed).toBeLessThan(0.34);
  });

  test('there are joiners, leavers, movers, marriages, new e-mails, and nobody is renumbered', () => {
    const [before, after] = [byId(night(1)), byId(night(12))];
    const both = [...after].flatMap(([id, row]) =>
      before.has(id) ? [[before.get(id) as string[], row] as const] : [],
    );
    const differ = (column: Parameters<typeof cell>[1]) =>
      both.filter(([was, is]) => cell(was, column) !== cell(is, column)).length;
    expect([...after.keys()].filter((id) => !before.has(id)).length).toBeGreaterThan(10);
    expect([...before.keys()].filter((id) => !after.has(id)).length).toBeGreaterThan(10);
    const changing = ['Status', 'Department', 'Location', 'LastName', 'Mail', 'Function', 'Phone'] as const;
    expect(changing.filter((column) => differ(column) <= 10)).toEqual([]);
    expect(differ('FirstName')).toBe(0);
    expect(both.filter(([was, is]) => cell(was, 'Status') === 'T' && cell(is, 'Status') === 'A')).toEqual([]);
  });

  test('e-mail addresses stay unique, and now and then two people swap theirs', () => {
    const [before, after] = [cellsOf(night(2)), cellsOf(night(3))];
    expect(new Set(after.map((row) => cell(row, 'Mail'))).size).toBe(after.length);
    const holder = new Map(before.map((row) => [cell(row, 'Mail'), cell(row, 'EmployeeID')]));
    const taken = after.filter((row) => (holder.get(cell(row, 'Mail')) ?? '') !== cell(row, 'EmployeeID'));
    const swapped = taken.filter((row) => cell(row, 'EmployeeID') !== '' && holder.get(cell(row, 'Mail')));
    expect(swapped).toHaveLength(2);
  });

  test('a handful of typing errors, gone the next night', () => {
    const known = new Set<string>(company.departments);
    const wrong = (number: number) => cellsOf(night(number)).filter((row) => !known.has(cell(row, 'Department')));
    const ids = (number: number) => new Set(wrong(number).map((row) => cell(row, 'EmployeeID')));
    expect(wrong(1).length).toBeGreaterThan(0);
    expect(wrong(1).length).toBeLessThan(10);
    expect([...ids(2)].filter((id) => ids(1).has(id))).toEqual([]);
    const nameless = cellsOf(night(2)).filter((row) => cell(row, 'EmployeeID') === '');
    expect(nameless).toHaveLength(1);
    expect(cellsOf(night(1)).some((row) => cell(row, 'Mail') === cell(nameless[0] as string[], 'Mail'))).toBe(true);
  });

  test.each([[5000], [300], [100], [1]])('ordinary nights of %i learners keep the default limits', (learners) => {
    const firm = makeCompany({ seed: 3, learners });
    let before = nightBytes(firm, { night: 1 });
    for (let number = 2; number <= 8; number++) {
      const after = nightBytes(firm, { night: number });
      expect({ night: number, breaches: guard(figuresBetween(firm, before, after), DEFAULT_LIMITS) }).toEqual({
        night: number,
        breaches: [],
      });
      before = after;
    }
  });
});

describe('variants', () => {
  test('shuffled: the same rows in another order', () => {
    const lines = (file: Buffer) => file.toString().split('\r\n');
    const plain = lines(night(2));
    const shuffled = lines(nightBytes(company, { night: 2, variant: 'shuffled' }));
    expect(shuffled[0]).toBe(plain[0]);
    expect(shuffled.filter((line, i) => line === plain[i]).length).toBeLessThan(20);
    expect([...shuffled].sort()).toEqual([...plain].sort());
  });

  test('edit-outside: one row differs, in no mapped column', () => {
    const [plain, edited] = [cellsOf(night(2)), cellsOf(nightBytes(company, { night: 2, variant: 'edit-outside' }))];
    const differing = edited.filter((row, i) => row.join() !== plain[i]?.join());
    expect(differing).toHaveLength(1);
    expect(edited.map((row) => row.slice(0, MAPPED_COLUMNS.length))).toEqual(
      plain.map((row) => row.slice(0, MAPPED_COLUMNS.length)),
    );
  });

  test.each([1, 2, 3, 4, 5, 17, 1000, 4097])('a permutation of %i names each place once', (size) => {
    const order = permutation(5, size);
    const images = Array.from({ length: size }, (_, place) => order(place)).sort((a, b) => a - b);
    expect(images).toEqual(Array.from({ length: size }, (_, place) => place));
  });
});

test('memory does not grow with the file: chunks stay small', () => {
  for (const chunk of nightChunks(company, { night: 1 })) expect(chunk.length).toBeLessThan(256 * 1024);
});
