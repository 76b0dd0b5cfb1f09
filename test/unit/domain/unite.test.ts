import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ExternalId, GroupId } from '../../../src/domain/ids.ts';
import { type ResolvedRow, type United, uniteRows } from '../../../src/domain/unite.ts';
import { anyWindow, days, GROUPS } from './arbitraries.ts';

const row = (number: number, groups: number[], more: Partial<ResolvedRow> = {}): ResolvedRow => ({
  row: number,
  externalId: '007' as ExternalId,
  attributes: {},
  status: 'active',
  action: 'add',
  groups: groups.map((id) => ({ externalId: `g${id}` as ExternalId })),
  groupIds: groups as GroupId[],
  window: {},
  ...more,
});

const anyRow: fc.Arbitrary<ResolvedRow> = fc
  .record({
    groups: fc.subarray(GROUPS),
    window: anyWindow,
    status: fc.constantFrom('active' as const, 'active' as const, 'active' as const, 'left' as const),
    action: fc.constantFrom('add' as const, 'add' as const, 'remove' as const),
    email: fc.constantFrom('', 'a@x.org', 'a@x.org', 'b@x.org'),
    city: fc.constantFrom('', '', 'Ghent'),
  })
  .map(({ groups, city, ...rest }) => row(2, groups, { ...rest, attributes: { city } }));

const numbered = (rows: readonly ResolvedRow[]) => rows.map((one, at) => ({ ...one, row: at + 2 }));
/** What the rows say, without the numbers of rows. */
const meaning = ({ claim, rejections }: United) => ({
  claim: claim && { ...claim, rows: undefined },
  rejected: new Set(rejections.map(({ code, message }) => `${code} ${message}`)),
});

describe('uniting the rows of a learner', () => {
  test('R18: the order of rows does not matter', () => {
    fc.assert(
      fc.property(
        fc
          .array(anyRow, { maxLength: 4 })
          .chain((rows) => fc.tuple(fc.constant(rows), fc.shuffledSubarray(rows, { minLength: rows.length }))),
        ([rows, shuffled]) => {
          const one = uniteRows(numbered(rows));
          const other = uniteRows(numbered(shuffled));
          expect(meaning(other).claim).toEqual(meaning(one).claim);
          expect(other.rejections.length).toBe(one.rejections.length);
          expect(other.repeated.length).toBe(one.repeated.length);
        },
      ),
      { numRuns: 500 },
    );
  });

  test('R18: rows that are given in another order with the same numbers give the very same', () => {
    fc.assert(
      fc.property(fc.array(anyRow, { maxLength: 4 }), (rows) => {
        expect(uniteRows(numbered(rows).reverse())).toEqual(uniteRows(numbered(rows)));
      }),
    );
  });

  test('R18: a repeated row counts once and is reported', () => {
    fc.assert(
      fc.property(fc.array(anyRow, { minLength: 1, maxLength: 3 }), fc.nat(), (rows, which) => {
        const again = rows[which % rows.length] as ResolvedRow;
        const once = uniteRows(numbered(rows));
        const twice = uniteRows(numbered([...rows, again]));
        expect(meaning(twice)).toEqual(meaning(once));
        expect(twice.repeated).toEqual(once.claim ? [...once.repeated, rows.length + 2] : []);
      }),
    );
  });

  test('R18: groups and windows are the union of all rows, and one row speaks where another is silent', () => {
    const { claim } = uniteRows([
      row(5, [2, 1], { email: '', window: { until: days(2) }, attributes: { city: 'Ghent' } }),
      row(3, [2], { email: 'a@x.org', window: { from: days(1), until: days(4) }, attributes: { city: '' } }),
    ]);
    expect(claim).toEqual({
      externalId: '007',
      rows: [3, 5],
      email: 'a@x.org',
      attributes: { city: 'Ghent' },
      status: 'active',
      groups: [
        { group: 1, windows: [{ until: days(2) }] },
        { group: 2, windows: [{ until: days(4) }] },
      ],
      removed: [],
    });
  });

  test.each([
    ['email', { email: 'a@x.org' }, { email: 'b@x.org' }],
    ['city', { attributes: { city: 'Ghent' } }, { attributes: { city: 'Aalst' } }],
    ['status', { status: 'left' }, {}],
  ] as const)(
    'R15: rows that disagree on %s are all rejected and name learner and groups for protection',
    (field, one, other) => {
      const { claim, rejections } = uniteRows([row(2, [1], one), row(3, [2], other)]);
      expect(claim).toBeNull();
      expect(rejections).toMatchObject([
        { row: 2, code: 'conflicting-rows', externalId: '007', groups: ['g1'] },
        { row: 3, code: 'conflicting-rows', externalId: '007', groups: ['g2'] },
      ]);
      expect(rejections[0]?.message).toContain(`disagree on ${field}`);
    },
  );

  test('R13 R15: a delta feed that adds and removes the same group is rejected; of two groups it is a move', () => {
    expect(uniteRows([row(2, [1]), row(3, [1], { action: 'remove' })])).toMatchObject({
      claim: null,
      rejections: [{ row: 2 }, { row: 3 }],
    });
    expect(uniteRows([row(2, [1]), row(3, [2], { action: 'remove' })]).claim).toMatchObject({
      groups: [{ group: 1 }],
      removed: [2],
    });
  });
});
