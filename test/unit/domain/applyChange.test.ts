import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { applyChange, asOfNow, createLearner } from '../../../src/domain/applyChange.ts';
import type { Change } from '../../../src/domain/change.ts';
import type { LearnerId } from '../../../src/domain/ids.ts';
import type { Learner, Source } from '../../../src/domain/learner.ts';
import { anyLearner, anyWindows, days, GROUPS, learner, member } from './arbitraries.ts';

const SOURCES = ['crm', 'hr', 'manual'];
const FIELDS = [
  'email',
  'firstName',
  'lastName',
  'status',
  'attributes.city',
  'attributes.constructor',
  'attributes.__proto__',
];

/** A change of one source, or of several; what is `before` plays no part in applying. */
const anyChange = (sources: readonly string[], fields: readonly string[]): fc.Arbitrary<Change> =>
  fc
    .record({
      fields: fc.uniqueArray(
        fc.tuple(fc.constantFrom(...fields), fc.constantFrom(undefined, 'a', 'b')).map(([field, after]) => {
          const status = after === 'a' ? 'active' : 'inactive';
          if (field === 'status') return { field, after: status };
          return after === undefined ? { field } : { field, after };
        }),
        { selector: ({ field }) => field, maxLength: 4 },
      ),
      memberships: fc.uniqueArray(
        fc
          .tuple(fc.constantFrom(...GROUPS), fc.constantFrom(...sources), fc.oneof(fc.constant([]), anyWindows))
          .map(([group, source, after]) => ({ group, source, before: [], after })),
        { selector: ({ group, source }) => `${group} ${source}`, maxLength: 4 },
      ),
      hold: fc.option(
        fc.tuple(fc.constantFrom(...sources), fc.boolean(), fc.boolean()).map(([feed, stays, left]) => ({
          before: { feed },
          after: stays ? { feed, ...(left && { leftAt: days(-1) }) } : null,
        })),
        { nil: undefined },
      ),
    })
    .map(({ hold, ...rest }) => ({ learner: 7 as LearnerId, revision: 3, ...rest, ...(hold && { hold }) }));

/** The whole learner written anew and compared as text: slow and plain. */
function written(before: Learner, change: Change): Learner {
  const next = structuredClone(before) as unknown as Record<string, unknown> & { attributes: object };
  const attributes = new Map<string, unknown>(Object.entries(before.attributes));
  for (const { field, after } of change.fields) {
    const [, key] = field.split('.');
    if (key) attributes.set(key, after);
    else next[field] = after;
  }
  next.attributes = Object.fromEntries([...attributes].filter(([, value]) => value !== undefined));
  const held = new Map<number, Source[]>(before.memberships.map(({ group, sources }) => [group, [...sources]]));
  for (const { group, source, after } of change.memberships) {
    const others = (held.get(group) ?? []).filter((one) => one.source !== source);
    held.set(
      group,
      [...others, ...after.map((one) => ({ source, ...one }))].sort((a, b) => a.source.localeCompare(b.source)),
    );
  }
  next.memberships = [...held]
    .filter(([, sources]) => sources.length > 0)
    .sort(([a], [b]) => a - b)
    .map(([group, sources]) => ({ group, sources }));
  const feed = (change.hold?.after ?? change.hold?.before)?.feed;
  const holds = before.holds.filter((one) => one.feed !== feed);
  if (change.hold?.after) holds.push(change.hold.after);
  next.holds = holds.sort((a, b) => a.feed.localeCompare(b.feed));
  return Object.fromEntries(Object.entries(next).filter(([, value]) => value !== undefined)) as unknown as Learner;
}

describe('applying a change', () => {
  test('gives what writing the whole learner anew gives, and the very same object where nothing differs', () => {
    const text = (one: Learner) =>
      JSON.stringify(
        Object.entries(one)
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([key, value]) => [
            key,
            key === 'attributes' ? Object.entries(value as object).sort(([a], [b]) => (a < b ? -1 : 1)) : value,
          ]),
      );
    fc.assert(
      fc.property(anyLearner, anyChange(SOURCES, FIELDS), (before, change) => {
        const after = applyChange(before, change);
        const expected = written(before, change);
        expect(text(after)).toBe(text(expected));
        expect(after === before).toBe(text(before) === text(expected));
      }),
      { numRuns: 500 },
    );
  });

  test('R17: applied a second time it changes nothing', () => {
    fc.assert(
      fc.property(anyLearner, anyChange(SOURCES, FIELDS), (before, change) => {
        const after = applyChange(before, change);
        expect(applyChange(after, change)).toBe(after);
      }),
    );
  });

  test('R14 R23: changes of two feeds end the same in either order', () => {
    fc.assert(
      fc.property(
        anyLearner,
        anyChange(['hr'], ['email', 'attributes.city']),
        anyChange(['crm'], ['lastName']),
        (before, hr, crm) => {
          expect(applyChange(applyChange(before, hr), crm)).toEqual(applyChange(applyChange(before, crm), hr));
        },
      ),
    );
  });

  test('R14: a membership that another source holds too loses one source and stays', () => {
    const before = learner({ memberships: [member(1, 'hr', 'manual'), member(2, 'hr')] });
    const gone = (group: number) => ({ group: GROUPS[group - 1] as never, source: 'hr', before: [{}], after: [] });
    const after = applyChange(before, { learner: before.id, revision: 3, fields: [], memberships: [gone(1), gone(2)] });
    expect(after.memberships).toEqual([member(1, 'manual')]);
  });

  test('a created learner is what applying the parts to a blank one gives', () => {
    fc.assert(
      fc.property(
        anyChange(['hr'], ['email']),
        fc.constantFrom('active' as const, 'inactive' as const),
        (change, status) => {
          const create = { firstName: 'Ann', status, attributes: { city: 'Ghent' } };
          const blank: Learner = { id: change.learner, revision: 0, memberships: [], holds: [], ...create };
          expect(createLearner({ ...change, create, fields: [] })).toEqual(
            applyChange(blank, { ...change, fields: [] }),
          );
        },
      ),
    );
  });
});

describe('asOfNow', () => {
  const change = (more: Partial<Change>): Change => ({
    learner: 1 as LearnerId,
    revision: 3,
    rows: [2],
    fields: [],
    memberships: [],
    ...more,
  });
  const leaves = change({
    fields: [
      { field: 'lastName', after: 'New' },
      { field: 'status', before: 'active', after: 'inactive' },
    ],
    hold: { before: { feed: 'hr' }, after: { feed: 'hr', leftAt: days(0) } },
  });
  const comes = change({ hold: { before: null, after: { feed: 'hr' } } });
  const statusAfter = (live: Learner, one: Change) => applyChange(live, asOfNow(one, live, 'hr')).status;

  test('R20: a leaver whom nothing else holds becomes inactive', () => {
    expect(asOfNow(leaves, learner({ holds: [{ feed: 'hr' }] }), 'hr')).toBe(leaves);
    const left = learner({ holds: [{ feed: 'hr' }, { feed: 'crm', leftAt: days(-1) }] });
    expect(statusAfter(left, leaves)).toBe('inactive');
  });

  test.each<[string, Partial<Learner>]>([
    ['another feed', { holds: [{ feed: 'hr' }, { feed: 'crm' }] }],
    ['a membership by hand', { memberships: [member(1, 'manual')] }],
    ["another feed's membership", { memberships: [member(1, 'hr', 'crm')] }],
  ])(
    'R20: whom %s has come to hold since the plan was made stays active; the rest of the change is made',
    (_, held) => {
      const live = learner(held);
      const now = asOfNow(leaves, live, 'hr');
      expect(now.fields).toEqual([{ field: 'lastName', after: 'New' }]);
      expect(now.hold).toEqual(leaves.hold);
      expect(statusAfter(live, leaves)).toBe('active');
    },
  );

  test('R20: whom the feed comes to hold is active, though another has made the learner inactive meanwhile', () => {
    expect(statusAfter(learner({ status: 'inactive' }), comes)).toBe('active');
    const live = learner();
    expect(asOfNow(comes, live, 'hr')).toBe(comes);
    const left = change({ hold: { before: null, after: { feed: 'hr', leftAt: days(0) } } });
    expect(statusAfter(learner({ status: 'inactive' }), left)).toBe('inactive');
  });

  test('R23: one feed lets go of a learner and another takes hold: either may be applied first', () => {
    const taken = change({ hold: { before: null, after: { feed: 'crm' } } });
    const start = learner({ holds: [{ feed: 'hr' }] });
    const apply = (live: Learner, one: Change, feed: string) => applyChange(live, asOfNow(one, live, feed));
    const hrFirst = apply(apply(start, leaves, 'hr'), taken, 'crm');
    const crmFirst = apply(apply(start, taken, 'crm'), leaves, 'hr');
    expect(hrFirst).toEqual(crmFirst);
    expect(hrFirst.status).toBe('active');
  });

  test('R17: a second application of the same change gives nothing', () => {
    fc.assert(
      fc.property(anyLearner, fc.constantFrom(leaves, comes), (live, one) => {
        const after = applyChange(live, asOfNow(one, live, 'hr'));
        expect(applyChange(after, asOfNow(one, after, 'hr'))).toBe(after);
      }),
    );
  });
});
