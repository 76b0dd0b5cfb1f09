import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Change, RemovalOption, SubscriptionEvent } from '../../../src/domain/change.ts';
import { entitledCourses } from '../../../src/domain/entitlement.ts';
import type { CourseId, GroupId, LearnerId } from '../../../src/domain/ids.ts';
import type { Membership } from '../../../src/domain/learner.ts';
import {
  closedSince,
  endingOf,
  endingsOf,
  lostCourses,
  nextBoundary,
  type SettleInput,
  type SettleKind,
  type Settlement,
  type Subscription,
  type Subscriptions,
  settle,
  strongest,
} from '../../../src/domain/settle.ts';
import { Structure } from '../../../src/domain/structure.ts';
import {
  anyMemberships,
  anyOption,
  anyStructure,
  COURSES,
  days,
  GROUPS,
  group,
  member,
  NOW,
  OPTIONS,
} from './arbitraries.ts';

const LEARNER = 7 as LearnerId;
/** 1 gives course 1; 2, below 1, gives course 2 as well; 3 gives 2 and 3; 4 gives nothing. */
const COMPANY = new Structure([group(1, [1]), group(2, [2], 1), group(3, [2, 3]), group(4)]);
const KINDS: readonly SettleKind[] = ['subscribe', 'expire', 'purge'];

const settled = (input: Partial<SettleInput>): Settlement =>
  settle({
    learner: LEARNER,
    memberships: [],
    held: undefined,
    structure: COMPANY,
    now: NOW,
    kind: 'purge',
    endings: [],
    windowOption: () => 'expire',
    ...input,
  });

const held = (items: readonly Subscription[], due?: Date): Subscriptions => ({
  learner: LEARNER,
  revision: 1,
  items,
  ...(due && { due }),
});
const stored = ({ items, due }: Settlement): Subscriptions => held(items, due);
const item = (course: number, status: 'active' | 'expired' = 'active', direct = false): Subscription => ({
  course: course as CourseId,
  status,
  direct,
  since: days(-30),
});
const byNumber = (a: number, b: number) => a - b;
const courses = ({ items }: Settlement, status = 'active') =>
  items
    .filter((one) => one.status === status)
    .map(({ course }) => course)
    .sort(byNumber);
const kindsOf = (events: readonly SubscriptionEvent[], course: number) =>
  events.filter((one) => one.course === course).map(({ kind }) => kind);
const removal = (id: number, option: RemovalOption) => [endingOf([id as GroupId], option, COMPANY)];

const anyItems = fc
  .subarray(COURSES)
  .chain((some) =>
    fc.tuple(
      ...some.map((course) =>
        fc
          .tuple(fc.boolean(), fc.boolean())
          .map(([direct, active]) => item(course, direct || active ? 'active' : 'expired', direct)),
      ),
    ),
  );
const anyEndings = fc.array(fc.record({ courses: fc.subarray(COURSES), option: anyOption }), { maxLength: 3 });

describe('settling one learner', () => {
  test('R1 R3: a newly entitled learner is subscribed to the courses of the group and of those above', () => {
    const { items, events, changed } = settled({ memberships: [member(2, 'hr')], kind: 'subscribe' });
    expect(items).toEqual([
      { course: 2, status: 'active', direct: false, since: NOW },
      { course: 1, status: 'active', direct: false, since: NOW },
    ]);
    expect(events.map(({ kind }) => kind)).toEqual(['subscribed', 'subscribed']);
    expect(changed).toBe(true);
  });

  test('R3: an expired subscription is reactivated and no result of it is purged', () => {
    const again = settled({ memberships: [member(1, 'hr')], held: held([item(1, 'expired')]), kind: 'subscribe' });
    expect(again).toMatchObject({
      items: [{ course: 1, status: 'active', since: NOW }],
      purge: [],
      events: [{ kind: 'reactivated' }],
    });
  });

  test('R6: keep turns what the group alone gave into a direct grant, and nothing else', () => {
    const result = settled({
      memberships: [member(3, 'hr')],
      held: held([item(1), item(2), item(3), item(4, 'expired')]),
      endings: removal(2, 'keep'),
    });
    expect(result.items).toEqual([{ ...item(1), direct: true }, item(2), item(3), item(4, 'expired')]);
    expect(result.events).toEqual([{ kind: 'kept', course: 1 }]);
  });

  test('R7: expire ends what nothing else gives, by group or direct grant', () => {
    const result = settled({
      memberships: [member(3, 'hr')],
      held: held([item(1), item(2), item(3), item(4, 'active', true)]),
      endings: removal(2, 'expire'),
      kind: 'expire',
    });
    expect(courses(result, 'expired')).toEqual([1]);
    expect(courses(result)).toEqual([2, 3, 4]);
    expect(result.purge).toEqual([]);
  });

  test('R8: purge deletes what nothing else gives, and says which groups still give the rest', () => {
    const result = settled({
      memberships: [member(3, 'hr')],
      held: held([item(1), item(2), item(3)]),
      endings: removal(2, 'purge'),
    });
    expect(result.items).toEqual([item(2), item(3)]);
    expect(result.purge).toEqual([1]);
    expect(result.events).toEqual([
      { kind: 'purged', course: 1, held: true },
      { kind: 'purge-skipped', course: 2, through: [3] },
    ]);
  });

  test('R8: a purge skipped for a direct grant names no group', () => {
    const result = settled({ held: held([item(1, 'active', true)]), endings: removal(1, 'purge') });
    expect(result).toMatchObject({
      changed: false,
      purge: [],
      events: [{ kind: 'purge-skipped', course: 1, through: [] }],
    });
  });

  test('R8: the results of a course without subscription are purged too', () => {
    expect(settled({ endings: removal(1, 'purge') })).toMatchObject({ purge: [1], changed: false, events: [] });
  });

  test('R6: a grant of keep that is turned back goes where a group gives the course, and stays where none does', () => {
    const release = new Set([1, 3] as CourseId[]);
    const items = [item(1, 'active', true), item(3, 'active', true)];
    const end = settled({ memberships: [member(1, 'hr')], held: held(items), release });
    expect(end.items).toMatchObject([
      { course: 1, status: 'active', direct: false },
      { course: 3, status: 'active', direct: true },
    ]);
    expect(end.events).toEqual([{ kind: 'revoked', course: 1 }]);
  });

  test.each([
    ['keep', 'expire', { items: [{ course: 1, status: 'active', direct: true }] }, undefined],
    ['expire', 'expire', { items: [{ course: 1, status: 'expired' }] }, undefined],
    ['purge', 'purge', { items: [], purge: [1] }, undefined],
    ['purge', 'expire', { items: [{ course: 1, status: 'expired' }], purge: [] }, days(-1)],
  ] as const)(
    'R5 R6: a window that was set late and has closed ends by %s, settled as %s',
    (option, kind, end, due) => {
      const closed = [{ group: 1 as GroupId, source: 'hr', until: days(-1) }];
      const memberships = [{ group: 1 as GroupId, sources: [{ source: 'hr', until: days(-1) }] }];
      const result = settled({ memberships, held: held([item(1)]), closed, kind, windowOption: () => option });
      expect(result).toMatchObject(end);
      expect(result.due).toEqual(due);
    },
  );

  test('R5: a window counts as set late only where it closed after the plan was made, and was open there before', () => {
    const change = (until: number, before?: number): Change => ({
      learner: LEARNER,
      revision: 1,
      fields: [],
      memberships: [
        {
          group: 1 as GroupId,
          source: 'hr',
          before: [before === undefined ? {} : { until: days(before) }],
          after: [{ until: days(until) }],
        },
      ],
    });
    const closed = (one: Change) => closedSince(one, days(-3), NOW).map(({ until }) => until);
    expect(closed(change(-1))).toEqual([days(-1)]);
    expect(closed(change(-1, 5))).toEqual([days(-1)]);
    expect(closed(change(0))).toEqual([NOW]);
    for (const other of [change(1), change(-3), change(-5), change(-1, -2)]) expect(closed(other)).toEqual([]);
  });

  test('R6 R8: keep wins where keep and purge both name a course', () => {
    const endings = [...removal(2, 'purge'), ...removal(1, 'keep')];
    expect(settled({ held: held([item(1), item(2)]), endings })).toMatchObject({
      items: [{ course: 1, direct: true }],
      purge: [2],
    });
  });

  test('R4 R6 R8: of what was not active keep says nothing, so that a purge told twice deletes no more than once', () => {
    const endings = [...removal(2, 'purge'), ...removal(1, 'keep')];
    const first = settled({ held: held([item(1, 'expired')]), endings });
    expect(first).toMatchObject({ items: [], purge: [1, 2] });
    expect(settled({ held: stored(first), endings: removal(2, 'purge') })).toMatchObject({ items: [], changed: false });
  });

  test('R4: settling what is settled changes nothing, whatever the kind and the endings it is told', () => {
    fc.assert(
      fc.property(
        anyStructure,
        anyMemberships,
        anyItems,
        anyEndings,
        anyOption,
        (structure, memberships, items, endings, option) => {
          const input = { structure, memberships, endings, windowOption: () => option };
          const first = settled({ ...input, held: held(items, days(-2)) });
          for (const kind of KINDS) {
            const again = settled({ ...input, held: stored(first), kind });
            expect(again.items).toEqual(first.items);
            expect(again.changed).toBe(false);
          }
        },
      ),
    );
  });

  test('R2 R4: after settling, active is what groups or direct grants give, and nothing else', () => {
    fc.assert(
      fc.property(anyStructure, anyMemberships, anyItems, anyEndings, (structure, memberships, items, endings) => {
        const result = settled({ structure, memberships, endings, held: held(items) });
        const entitled = entitledCourses(memberships, structure, NOW);
        for (const { course, direct } of result.items) if (direct) entitled.add(course);
        expect(courses(result)).toEqual([...entitled].sort(byNumber));
        for (const course of result.purge) expect(entitled).not.toContain(course);
      }),
    );
  });

  test('R4: subscribing never ends anything, expiring never deletes anything', () => {
    fc.assert(
      fc.property(anyStructure, anyMemberships, anyItems, anyEndings, (structure, memberships, items, endings) => {
        const input = { structure, memberships, endings, held: held(items) };
        const subscribed = settled({ ...input, kind: 'subscribe' });
        const active = items.filter(({ status }) => status === 'active').map(({ course }) => course);
        expect(courses(subscribed)).toEqual(expect.arrayContaining(active));
        const expired = settled({ ...input, kind: 'expire' });
        for (const { course } of items) expect(expired.items.map((one) => one.course)).toContain(course);
        expect([...subscribed.purge, ...expired.purge]).toEqual([]);
      }),
    );
  });

  test('R9: a move never touches what both groups give', () => {
    fc.assert(
      fc.property(
        anyStructure,
        fc.constantFrom(...GROUPS),
        fc.constantFrom(...GROUPS),
        anyMemberships,
        anyOption,
        (structure, from, to, others, option) => {
          const rest = others.filter((one) => one.group !== from && one.group !== to);
          const before = [...rest, member(from, 'hr')];
          const start = stored(settled({ structure, memberships: before, kind: 'subscribe', now: days(-1) }));
          const endings = [endingOf([from], option, structure)];
          const after = settled({
            structure,
            memberships: [...rest, member(to, 'hr')],
            held: { ...start, revision: 1 },
            endings,
          });
          for (const course of structure.courses(from).filter((one) => structure.courses(to).includes(one))) {
            expect(after.items.find((one) => one.course === course)).toBe(
              start.items.find((one) => one.course === course),
            );
            expect(after.purge).not.toContain(course);
            expect(kindsOf(after.events, course)).toEqual(option === 'purge' ? ['purge-skipped'] : []);
          }
        },
      ),
    );
  });

  test('R9: adding first and removing later ends in the same state as moving', () => {
    fc.assert(
      fc.property(anyStructure, fc.constantFrom(...GROUPS), fc.constantFrom(...GROUPS), (structure, from, to) => {
        fc.pre(from !== to);
        const start = stored(settled({ structure, memberships: [member(from, 'hr')], kind: 'subscribe' }));
        const endings = [endingOf([from], 'expire', structure)];
        const end = { structure, memberships: [member(to, 'hr')], endings, kind: 'expire' as const };
        const both = settled({
          structure,
          memberships: [member(from, 'hr'), member(to, 'hr')],
          held: start,
          kind: 'subscribe',
        });
        const facts = ({ items }: Settlement) =>
          items.map(({ course, status, direct }) => ({ course, status, direct })).sort((a, b) => a.course - b.course);
        expect(facts(settled({ ...end, held: stored(both) }))).toEqual(facts(settled({ ...end, held: start })));
      }),
    );
  });

  test('R10: what a change of structure takes away is named group by group', () => {
    const after = new Structure([group(1, [1]), group(2, []), group(3, [2, 3]), group(4)]);
    expect([...lostCourses(COMPANY, after, [1, 2, 3] as GroupId[])]).toEqual([[2, [2, 1]]]);
  });

  test('R23: two feeds that settle one after the other end the same in either order', () => {
    fc.assert(
      fc.property(anyStructure, anyMemberships, anyItems, (structure, memberships, items) => {
        const without = (list: readonly Membership[], feed: string) =>
          list.flatMap(({ group: id, sources }) => {
            const left = sources.filter(({ source }) => source !== feed);
            return left.length > 0 ? [{ group: id, sources: left }] : [];
          });
        const gone = (feed: string) =>
          memberships.filter(({ sources }) => sources.some(({ source }) => source === feed)).map(({ group: id }) => id);
        const start = stored(settled({ structure, memberships, held: held(items) }));
        const end = (first: string, second: string) => {
          const one = without(memberships, first);
          const endings = (feed: string) => [endingOf(gone(feed), 'expire' as const, structure)];
          const half = settled({ structure, memberships: one, held: start, kind: 'expire', endings: endings(first) });
          return settled({
            structure,
            memberships: without(one, second),
            held: stored(half),
            kind: 'expire',
            endings: endings(second),
          });
        };
        expect(end('hr', 'crm').items).toEqual(end('crm', 'hr').items);
      }),
    );
  });

  test.each([
    ['hr', 'crm', false],
    ['crm', 'hr', true],
  ])(
    'R8 R23: of two feeds that let go, %s first, the last one decides what becomes of results',
    (first, last, purges) => {
      const option = { hr: 'purge', crm: 'expire' } as const;
      const half = settled({
        memberships: [member(2, last)],
        held: held([item(1), item(2)]),
        kind: 'purge',
        endings: removal(2, option[first as 'hr']),
      });
      expect(half).toMatchObject({ purge: [] });
      const end = settled({ held: stored(half), kind: 'purge', endings: removal(2, option[last as 'hr']) });
      expect(end.purge.length > 0).toBe(purges);
      expect(end.items.filter(({ status }) => status === 'active')).toEqual([]);
    },
  );

  test('direct grants are given and taken back by hand', () => {
    const given = settled({ grant: new Set(COURSES.slice(0, 1)) });
    expect(given).toMatchObject({
      items: [{ course: 1, status: 'active', direct: true }],
      events: [{ kind: 'granted' }, { kind: 'subscribed' }],
    });
    const revoke = new Set(COURSES.slice(0, 1));
    expect(settled({ held: stored(given), revoke })).toMatchObject({
      items: [{ course: 1, status: 'expired', direct: false }],
    });
    const still = settled({ held: stored(given), revoke, memberships: [member(1, 'hr')] });
    expect(still).toMatchObject({
      items: [{ course: 1, status: 'active', direct: false }],
      events: [{ kind: 'revoked' }],
    });
  });
});

describe('R5: windows', () => {
  const windowed = (from: number | undefined, until: number | undefined, source = 'hr', id = 1): Membership => ({
    group: id as GroupId,
    sources: [
      { source, ...(from !== undefined && { from: days(from) }), ...(until !== undefined && { until: days(until) }) },
    ],
  });

  test('a window to come gives nothing yet, and says when to look again', () => {
    const memberships = [windowed(2, 5)];
    const before = settled({ memberships });
    expect(before).toMatchObject({ items: [], due: days(2), changed: true });
    const open = settled({ memberships, held: stored(before), now: days(2), kind: 'subscribe' });
    expect(open).toMatchObject({ items: [{ course: 1, status: 'active' }], due: days(5) });
  });

  test.each([
    ['keep', { items: [{ course: 1, status: 'active', direct: true }], purge: [] }],
    ['expire', { items: [{ course: 1, status: 'expired', direct: false }], purge: [] }],
    ['purge', { items: [], purge: [1] }],
  ] as const)('a window that has closed ends the course as the leaver option %s says', (option, end) => {
    const memberships = [windowed(undefined, 2)];
    const open = settled({ memberships, kind: 'subscribe' });
    expect(open.due).toEqual(days(2));
    const closed = settled({ memberships, held: stored(open), now: days(2), windowOption: () => option });
    expect(closed).toMatchObject(end);
    expect(closed.due).toBeUndefined();
    expect(settled({ memberships, held: stored(closed), now: days(3), windowOption: () => option }).changed).toBe(
      false,
    );
  });

  test('a settlement too weak for a closed window leaves it due', () => {
    const memberships = [windowed(undefined, -1)];
    const weak = settled({ memberships, held: held([item(1)], days(-1)), kind: 'subscribe' });
    expect(weak).toMatchObject({ items: [item(1)], due: days(-1), changed: false });
    const expired = settled({
      memberships,
      held: held([item(1)], days(-1)),
      kind: 'expire',
      windowOption: () => 'purge',
    });
    expect(expired).toMatchObject({ items: [{ status: 'expired' }], due: days(-1), purge: [] });
    expect(settled({ memberships, held: stored(expired), windowOption: () => 'purge' })).toMatchObject({
      items: [],
      purge: [1],
    });
  });

  test('R6: a window that ends with keep keeps, though another that closed waits for a purge', () => {
    const memberships = [windowed(undefined, -1, 'hr', 1), windowed(undefined, -1, 'crm', 3)];
    const windowOption = (source: string): RemovalOption => (source === 'hr' ? 'keep' : 'purge');
    const start = held([item(1), item(2), item(3)], days(-1));
    const weak = settled({ memberships, held: start, kind: 'expire', windowOption });
    const full = settled({ memberships, held: stored(weak), windowOption });
    expect(full).toMatchObject({ items: [{ course: 1, status: 'active', direct: true }], purge: [2, 3] });
  });

  test('R2: a closed window ends nothing that another membership gives', () => {
    fc.assert(
      fc.property(
        anyStructure,
        anyMemberships,
        anyOption,
        fc.integer({ min: 1, max: 5 }),
        (structure, memberships, option, later) => {
          const input = { structure, memberships, windowOption: () => option };
          const start = stored(settled({ ...input, kind: 'subscribe' }));
          const end = settled({ ...input, held: start, now: days(later) });
          const entitled = entitledCourses(memberships, structure, days(later));
          const kept = option === 'keep' ? courses(end).filter((course) => !entitled.has(course)) : [];
          expect(courses(end)).toEqual([...entitled, ...kept].sort(byNumber));
        },
      ),
    );
  });

  test('a window swept once at the end does what sweeping at every boundary does', () => {
    fc.assert(
      fc.property(anyStructure, anyMemberships, (structure, memberships) => {
        const input = { structure, memberships };
        let each = settled({ ...input, kind: 'subscribe' });
        const once = settled({ ...input, held: stored(each), now: days(9) });
        for (let at = each.due; at; at = each.due) each = settled({ ...input, held: stored(each), now: at });
        expect(courses(each)).toEqual(courses(once));
      }),
    );
  });

  test('the next boundary is the nearest moment to come', () => {
    expect(nextBoundary([windowed(-3, 4), windowed(2, 9, 'crm', 2), windowed(-9, -2, 'hr', 3)], NOW)).toEqual(days(2));
    expect(nextBoundary([member(1, 'hr'), windowed(-9, -2)], NOW)).toBeUndefined();
  });
});

describe('endings', () => {
  test('those of a change are the courses of each group that it takes away, with its option', () => {
    const memberships = [
      { group: 2 as GroupId, source: 'hr', before: [{}], after: [], courses: 'purge' as const },
      { group: 3 as GroupId, source: 'hr', before: [], after: [{}] },
    ];
    expect(endingsOf({ learner: LEARNER, revision: 1, fields: [], memberships }, COMPANY)).toEqual([
      { option: 'purge', courses: [2, 1] },
    ]);
  });

  test('the strongest of two kinds is that which goes further', () => {
    expect(KINDS.map((kind) => strongest(kind, 'expire'))).toEqual(['expire', 'expire', 'purge']);
    expect(OPTIONS).toHaveLength(3);
  });
});
