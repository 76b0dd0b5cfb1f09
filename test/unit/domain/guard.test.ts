import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Breach, DEFAULT_LIMITS, explain, guard, type PlanFigures } from '../../../src/domain/guard.ts';
import type { Limits } from '../../../src/domain/policy.ts';

/** A quiet night of a feed of 1,000 learners with 2,000 memberships. */
function figures(of: Partial<PlanFigures> = {}): PlanFigures {
  return {
    held: { memberships: 2000, learners: 1000 },
    membershipsRemoved: 0,
    membershipsLost: 0,
    membershipsAdded: 0,
    emptiedGroups: [],
    groups: [],
    deactivated: 0,
    created: 0,
    identityChanged: 0,
    purged: 0,
    rows: { read: 1000, rejected: 0, unrecognised: 0 },
    lastRows: 1000,
    removals: true,
    lost24h: 0,
    lost7d: 0,
    ...of,
  };
}

const rows = (read: number, rejected = 0, unrecognised = 0) => ({ read, rejected, unrecognised });
const group = (members: number, removed: number) => [{ group: 'dept-0042', members, removed }];
const emptied = (...members: number[]) => members.map((count, i) => ({ group: `dept-000${i}`, members: count }));
const tiny = { memberships: 12, learners: 12 };

/** name, limits, what is just inside, what is just outside, the breach. */
type Case = [keyof Limits, Partial<Limits>, Partial<PlanFigures>, Partial<PlanFigures>, Omit<Breach, 'limit'>];
const cases: Case[] = [
  [
    'membershipsLostPercent',
    { removed24hPercent: null },
    { membershipsLost: 100 },
    { membershipsLost: 101 },
    { value: 5.1, max: 5, group: null },
  ],
  [
    'membershipsRemovedPercent',
    {},
    { membershipsRemoved: 400 },
    { membershipsRemoved: 410 },
    { value: 20.5, max: 20, group: null },
  ],
  [
    'membershipsRemoved',
    { membershipsRemoved: 40 },
    { membershipsRemoved: 40 },
    { membershipsRemoved: 41 },
    { value: 41, max: 40, group: null },
  ],
  [
    'membershipsAddedPercent',
    {},
    { membershipsAdded: 1000 },
    { membershipsAdded: 1002 },
    { value: 50.1, max: 50, group: null },
  ],
  [
    'emptiedGroups',
    {},
    { emptiedGroups: emptied(9) },
    { emptiedGroups: emptied(9, 10) },
    { value: 1, max: 0, group: 'dept-0001' },
  ],
  [
    'emptiedGroups',
    { emptiedGroups: 1 },
    { emptiedGroups: emptied(10) },
    { emptiedGroups: emptied(10, 70) },
    { value: 2, max: 1, group: null },
  ],
  [
    'groupRemovedPercent',
    {},
    { groups: group(20, 10) },
    { groups: group(20, 11) },
    { value: 55, max: 50, group: 'dept-0042' },
  ],
  [
    'groupRemovedPercent',
    {},
    { groups: group(19, 19) },
    { groups: group(20, 20) },
    { value: 100, max: 50, group: 'dept-0042' },
  ],
  ['deactivatedPercent', {}, { deactivated: 50 }, { deactivated: 51 }, { value: 5.1, max: 5, group: null }],
  ['createdPercent', {}, { created: 500 }, { created: 501 }, { value: 50.1, max: 50, group: null }],
  [
    'identityChangedPercent',
    {},
    { identityChanged: 100 },
    { identityChanged: 101 },
    { value: 10.1, max: 10, group: null },
  ],
  ['purged', {}, { purged: 0 }, { purged: 1 }, { value: 1, max: 0, group: null }],
  ['rowsPercent', {}, { rows: rows(800) }, { rows: rows(799) }, { value: 79.9, max: 200, min: 80, group: null }],
  ['rowsPercent', {}, { rows: rows(2000) }, { rows: rows(2001) }, { value: 200.1, max: 200, min: 80, group: null }],
  ['rejectedPercent', {}, { rows: rows(1000, 50) }, { rows: rows(1000, 51) }, { value: 5.1, max: 5, group: null }],
  ['unrecognised', {}, { rows: rows(1000, 1, 0) }, { rows: rows(1000, 1, 1) }, { value: 1, max: 0, group: null }],
  [
    'removed24hPercent',
    {},
    { membershipsLost: 76, lost24h: 100, lost7d: 100, held: { memberships: 2100, learners: 1000 } },
    { membershipsLost: 77, lost24h: 100, lost7d: 100, held: { memberships: 2100, learners: 1000 } },
    { value: 8.1, max: 8, group: null },
  ],
  [
    'removed7dPercent',
    {},
    { membershipsLost: 30, lost7d: 300, held: { memberships: 1900, learners: 1000 } },
    { membershipsLost: 31, lost7d: 300, held: { memberships: 1900, learners: 1000 } },
    { value: 15.1, max: 15, group: null },
  ],
];

describe('each limit allows its own value and holds what goes beyond', () => {
  test.each(cases)('%s %o', (limit, changed, inside, outside, breach) => {
    const limits = { ...DEFAULT_LIMITS, ...changed };
    expect(guard(figures(inside), limits)).toEqual([]);
    expect(guard(figures(outside), limits)).toEqual([{ limit, ...breach }]);
  });

  test.each(cases)('%s switched off holds nothing', (limit, changed, _inside, outside) => {
    expect(guard(figures(outside), { ...DEFAULT_LIMITS, ...changed, [limit]: null })).toEqual([]);
  });
});

test('a small team may always lose 10 memberships, also when that is most of it', () => {
  expect(guard(figures({ held: tiny, membershipsLost: 10, membershipsRemoved: 10 }), DEFAULT_LIMITS)).toEqual([]);
  const breaches = guard(figures({ held: tiny, membershipsLost: 11, membershipsRemoved: 11 }), DEFAULT_LIMITS);
  expect(breaches.map((breach) => [breach.limit, breach.value])).toEqual([
    ['membershipsLostPercent', 91.7],
    ['membershipsRemovedPercent', 91.7],
    ['removed24hPercent', 91.7],
    ['removed7dPercent', 91.7],
  ]);
});

test('losses that each feed is allowed are not when those of all feeds add up', () => {
  const allFeeds = { memberships: 191, lost24h: 9 };
  const night = figures({ held: { memberships: 100, learners: 100 }, membershipsLost: 9, allFeeds });
  const [breach, ...others] = guard(night, DEFAULT_LIMITS);
  expect(others).toEqual([]);
  expect(breach).toEqual({ limit: 'allFeeds24hPercent', value: 9, max: 8, group: null });
  expect(explain(breach as Breach)).toContain('all runs of all feeds together');
  expect(guard({ ...night, membershipsLost: 0 }, DEFAULT_LIMITS)).toEqual([]);
});

test('losses that are always allowed in one run are not when they add up over runs', () => {
  const night = figures({ held: { memberships: 100, learners: 100 }, membershipsLost: 9, lost24h: 9, lost7d: 9 });
  expect(guard(night, DEFAULT_LIMITS).map((breach) => breach.limit)).toEqual(['removed24hPercent', 'removed7dPercent']);
});

test.each([
  ['deactivated', 'deactivatedPercent', 10],
  ['identityChanged', 'identityChangedPercent', 10],
  ['created', 'createdPercent', 100],
  ['membershipsAdded', 'membershipsAddedPercent', 100],
] as const)('%s: always allowed up to its floor', (figure, limit, floor) => {
  expect(guard(figures({ held: tiny, [figure]: floor }), DEFAULT_LIMITS)).toEqual([]);
  expect(guard(figures({ held: tiny, [figure]: floor + 1 }), DEFAULT_LIMITS)).toMatchObject([{ limit }]);
});

test('the first applied run of a feed may create and add everybody', () => {
  const first = { held: { memberships: 0, learners: 0 }, created: 50_000, membershipsAdded: 100_000, removals: false };
  expect(guard(figures({ ...first, lastRows: null, rows: rows(50_000) }), DEFAULT_LIMITS)).toEqual([]);
});

test('the first applied run is held for rejected rows and for what needs no last run', () => {
  const first = figures({ lastRows: null, rows: rows(100, 6), purged: 1, groups: group(40, 30) });
  expect(guard(first, DEFAULT_LIMITS).map((breach) => breach.limit)).toEqual([
    'groupRemovedPercent',
    'purged',
    'rejectedPercent',
  ]);
});

test('a feed that was emptied with approval is held when everybody comes back', () => {
  const back = { held: { memberships: 0, learners: 0 }, membershipsAdded: 2000, created: 1000, lastRows: 0 };
  expect(guard(figures(back), DEFAULT_LIMITS).map((breach) => breach.limit)).toEqual([
    'membershipsAddedPercent',
    'createdPercent',
    'rowsPercent',
  ]);
  expect(guard(figures({ lastRows: 0, rows: rows(0) }), DEFAULT_LIMITS)).toEqual([]);
});

test('R15: rows in which nobody is recognised hold a plan only when it removes something', () => {
  const unrecognised = { rows: rows(1000, 3, 3) };
  expect(guard(figures({ ...unrecognised, removals: false }), DEFAULT_LIMITS)).toEqual([]);
  expect(guard(figures({ ...unrecognised, removals: true }), DEFAULT_LIMITS)).toMatchObject([{ value: 3 }]);
});

test('an empty file of a full feed breaks every limit that it touches, in the order of the table', () => {
  const empty = figures({
    membershipsLost: 2000,
    membershipsRemoved: 2000,
    deactivated: 1000,
    emptiedGroups: emptied(30, 30),
    groups: [
      { group: 'dept-0001', members: 30, removed: 30 },
      { group: 'dept-0002', members: 30, removed: 30 },
    ],
    rows: rows(0),
  });
  expect(guard(empty, DEFAULT_LIMITS).map((breach) => [breach.limit, breach.group])).toEqual([
    ['membershipsLostPercent', null],
    ['membershipsRemovedPercent', null],
    ['emptiedGroups', null],
    ['groupRemovedPercent', 'dept-0001'],
    ['groupRemovedPercent', 'dept-0002'],
    ['deactivatedPercent', null],
    ['rowsPercent', null],
    ['removed24hPercent', null],
    ['removed7dPercent', null],
  ]);
});

test('a value is never rounded onto its limit', () => {
  const held = { memberships: 1_000_000, learners: 500_000 };
  const above = guard(figures({ held, membershipsLost: 50_001 }), DEFAULT_LIMITS);
  expect(above).toEqual([{ limit: 'membershipsLostPercent', value: 5.1, max: 5, group: null }]);
  const below = guard(figures({ lastRows: 1_000_000, rows: rows(799_999) }), DEFAULT_LIMITS);
  expect(below).toMatchObject([{ limit: 'rowsPercent', value: 79.9, min: 80 }]);
});

describe('explain', () => {
  test('says the fact and the limit in one sentence', () => {
    const breach = { limit: 'membershipsLostPercent', value: 34.2, max: 5, group: null } as const;
    expect(explain(breach, 'hr')).toBe('34.2 % of the memberships that feed hr holds would be lost; the limit is 5 %.');
    expect(explain(breach)).toBe('34.2 % of the memberships that the feed holds would be lost; the limit is 5 %.');
  });

  test('names the side of the range that the rows left', () => {
    const range = { limit: 'rowsPercent', min: 80, max: 200, group: null } as const;
    expect(explain({ ...range, value: 50 }, 'hr')).toBe(
      'The number of rows is 50 % of that of the last applied run of feed hr; the least allowed is 80 %.',
    );
    expect(explain({ ...range, value: 300 }, 'hr')).toContain('the limit is 200 %');
  });

  test.each(cases)('%s has a sentence with its value or group', (limit, _limits, _inside, _outside, breach) => {
    const sentence = explain({ limit, ...breach }, 'hr');
    expect(sentence).toMatch(/^[A-Z\d].*; the (limit|least allowed) is \d+( %)?\.$/);
    expect(sentence).toContain(breach.group ?? String(breach.value));
  });
});

const count = fc.nat({ max: 5000 });
const anyGroups = fc.array(
  fc
    .record({ group: fc.string(), members: count, removed: count })
    .map((g) => ({ ...g, removed: Math.min(g.removed, g.members) })),
  { maxLength: 4 },
);
const anyFigures: fc.Arbitrary<PlanFigures> = fc.record({
  held: fc.record({ memberships: count, learners: count }),
  membershipsRemoved: count,
  membershipsLost: count,
  membershipsAdded: count,
  emptiedGroups: anyGroups,
  groups: anyGroups,
  deactivated: count,
  created: count,
  identityChanged: count,
  purged: count,
  rows: fc.record({ read: count, rejected: count, unrecognised: count }),
  lastRows: fc.option(count),
  removals: fc.boolean(),
  lost24h: count,
  lost7d: count,
});
const max = fc.option(fc.double({ min: 0, max: 300, noNaN: true }));
const anyLimits: fc.Arbitrary<Limits> = fc
  .record(Object.fromEntries(Object.keys(DEFAULT_LIMITS).map((name) => [name, max])))
  .chain((of) =>
    fc.option(fc.record({ min: fc.nat(100), max: fc.integer({ min: 100, max: 400 }) })).map((rowsPercent) => {
      return { ...(of as unknown as Limits), rowsPercent };
    }),
  );
const names = (breaches: readonly Breach[]) => breaches.map((breach) => `${breach.limit} ${breach.group}`);
const OFF = Object.fromEntries(Object.keys(DEFAULT_LIMITS).map((name) => [name, null])) as unknown as Limits;

describe('properties', () => {
  test('raising limits never adds a breach', () => {
    fc.assert(
      fc.property(anyFigures, anyLimits, fc.double({ min: 0, max: 50, noNaN: true }), (plan, limits, more) => {
        const raised = Object.fromEntries(
          Object.entries(limits).map(([name, limit]) => [
            name,
            typeof limit === 'number'
              ? limit + more
              : limit && { min: (limit as { min: number }).min - more, max: (limit as { max: number }).max + more },
          ]),
        ) as unknown as Limits;
        const before = new Set(names(guard(plan, limits)).map((name) => name.split(' ')[0]));
        for (const breach of guard(plan, raised)) expect(before).toContain(breach.limit);
      }),
    );
  });

  test('with every limit off nothing is held', () => {
    fc.assert(
      fc.property(anyFigures, (plan) => {
        expect(guard(plan, OFF)).toEqual([]);
      }),
    );
  });

  test('a plan that changes nothing is never held, whatever the limits', () => {
    fc.assert(
      fc.property(anyLimits, fc.nat(), fc.nat(), fc.nat(), (limits, memberships, learners, read) => {
        const quiet = figures({ held: { memberships, learners }, rows: rows(read), lastRows: read, removals: false });
        expect(guard(quiet, limits)).toEqual([]);
      }),
    );
  });

  test('every breach lies beyond its limit, is finite, and stands in the order of the table', () => {
    const order = Object.keys(DEFAULT_LIMITS);
    fc.assert(
      fc.property(anyFigures, anyLimits, (plan, limits) => {
        const breaches = guard(plan, limits);
        for (const { value, max, min } of breaches) {
          expect(Number.isFinite(value)).toBe(true);
          expect(value > max || (min !== undefined && value < min)).toBe(true);
        }
        const places = breaches.map((breach) => order.indexOf(breach.limit));
        expect(places).toEqual([...places].sort((a, b) => a - b));
      }),
    );
  });

  test('doing more of one thing never takes a breach away', () => {
    const figure = fc.constantFrom(
      'membershipsLost',
      'membershipsRemoved',
      'membershipsAdded',
      'deactivated',
      'created',
    );
    fc.assert(
      fc.property(anyFigures, anyLimits, figure, fc.nat(1000), (plan, limits, name, more) => {
        const after = new Set(names(guard({ ...plan, [name]: plan[name] + more }, limits)));
        for (const breach of names(guard(plan, limits))) expect(after).toContain(breach);
      }),
    );
  });
});
