import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { applyChange, createLearner } from '../../../src/domain/applyChange.ts';
import type { Claim } from '../../../src/domain/claim.ts';
import { isValid } from '../../../src/domain/entitlement.ts';
import type { GroupId, LearnerId } from '../../../src/domain/ids.ts';
import type { Learner } from '../../../src/domain/learner.ts';
import { type LearnerPlan, type PlanInput, planLearner } from '../../../src/domain/planLearner.ts';
import type { FeedPolicy } from '../../../src/domain/policy.ts';
import { anyClaim, anyLearner, anyPolicy, claim, days, GROUPS, learner, member, NOW, policy } from './arbitraries.ts';

const plan = (input: Partial<PlanInput>): LearnerPlan =>
  planLearner({
    policy: policy(),
    live: undefined,
    claim: null,
    newId: undefined,
    now: NOW,
    protectedLearner: false,
    protectedGroups: new Set(),
    ...input,
  });

const after = (live: Learner, { change }: LearnerPlan): Learner => (change ? applyChange(live, change) : live);
const always = (...groups: number[]) => groups.map((group) => ({ group: group as GroupId, windows: [{}] }));
const groupsOf = ({ memberships }: Learner) => memberships.map(({ group }) => group);

const anyCase = anyPolicy.chain((one) =>
  fc.record({
    policy: fc.constant(one),
    live: anyLearner,
    claim: fc.oneof({ weight: 4, arbitrary: anyClaim(one.mode) }, { weight: 1, arbitrary: fc.constant(null) }),
    protectedLearner: fc.boolean(),
    protectedGroups: fc.subarray(GROUPS).map((groups): ReadonlySet<GroupId> => new Set(groups)),
  }),
);

describe('planning one learner', () => {
  test('R17: planning again after applying a plan finds nothing to do', () => {
    fc.assert(
      fc.property(anyCase, (one) => {
        expect(plan({ ...one, live: after(one.live, plan(one)) }).change).toBeNull();
      }),
      { numRuns: 1000 },
    );
  });

  test('R17: planning again after creating a learner finds nothing to do', () => {
    fc.assert(
      fc.property(anyCase, (one) => {
        const { change } = plan({ ...one, live: undefined, newId: 9 as LearnerId });
        expect(change && plan({ ...one, live: createLearner(change) }).change).toBeNull();
      }),
    );
  });

  test('R13 R20: an unknown learner is created with the groups of the claim, a leaver or a mere removal creates nobody', () => {
    const newId = 9 as LearnerId;
    expect(plan({ newId, claim: claim({ email: 'a@x.org', firstName: '', groups: always(2) }) }).change).toMatchObject({
      learner: 9,
      create: { externalId: '007', email: 'a@x.org', status: 'active', attributes: {} },
      memberships: [{ group: 2, source: 'hr', before: [], after: [{}] }],
      hold: { before: null, after: { feed: 'hr', created: true } },
    });
    expect(plan({ newId, claim: claim({ status: 'left' }) }).change).toBeNull();
    expect(
      plan({ newId, policy: policy({ mode: 'delta' }), claim: claim({ removed: [GROUPS[0] as GroupId] }) }).change,
    ).toBeNull();
  });

  test('R9: a move is one change that adds and removes', () => {
    const live = learner({ memberships: [member(1, 'hr')], holds: [{ feed: 'hr' }] });
    expect(plan({ live, claim: claim({ groups: always(2) }) }).change?.memberships).toEqual([
      { group: 1, source: 'hr', before: [{}], after: [], courses: 'expire' },
      { group: 2, source: 'hr', before: [], after: [{}] },
    ]);
  });

  test('R13: a full feed takes away what it no longer says, a delta feed only what it says to remove', () => {
    const live = learner({ memberships: [member(1, 'hr'), member(2, 'hr'), member(3, 'hr')], holds: [{ feed: 'hr' }] });
    const says = claim({ groups: always(1) });
    expect(groupsOf(after(live, plan({ live, claim: says })))).toEqual([1]);
    const delta = policy({ mode: 'delta' });
    expect(groupsOf(after(live, plan({ live, policy: delta, claim: says })))).toEqual([1, 2, 3]);
    const removes = claim({ removed: [2 as GroupId] });
    expect(groupsOf(after(live, plan({ live, policy: delta, claim: removes })))).toEqual([1, 3]);
  });

  test('R13: a delta feed that only removes leaves the status set by hand alone', () => {
    const live = learner({ status: 'inactive', memberships: [member(1, 'hr')], holds: [{ feed: 'hr' }] });
    const removes = claim({ removed: [1 as GroupId] });
    expect(after(live, plan({ live, policy: policy({ mode: 'delta' }), claim: removes })).status).toBe('inactive');
  });

  test('R14: a feed never touches what manual or another feed holds', () => {
    fc.assert(
      fc.property(anyCase, (one) => {
        const others = ({ memberships }: Learner) =>
          memberships.flatMap(({ group, sources }) =>
            sources.filter(({ source }) => source !== one.policy.feed).map((source) => ({ group, source })),
          );
        expect(others(after(one.live, plan(one)))).toEqual(others(one.live));
      }),
    );
  });

  test('R15: a broken row removes nothing of its learner, nor anybody from its groups', () => {
    fc.assert(
      fc.property(anyCase, fc.integer({ min: 0, max: 4 }), (one, later) => {
        const then = after(one.live, plan(one));
        const lost = one.live.memberships
          .filter(({ group }) => one.protectedLearner || one.protectedGroups.has(group))
          .filter((held) => {
            const still = then.memberships.find(({ group }) => group === held.group);
            return [NOW, days(later)].some((at) => isValid(held, at) && !(still && isValid(still, at)));
          });
        const texts = (['email', 'firstName', 'lastName'] as const).filter((field) => one.live[field] && !then[field]);
        const deactivated = one.live.status === 'active' && then.status === 'inactive';
        expect({ lost, gone: one.protectedLearner && (deactivated || texts.length > 0) }).toEqual({
          lost: [],
          gone: false,
        });
      }),
      { numRuns: 500 },
    );
  });

  test('R15: what was left out because of a rejected row is looked at again', () => {
    const live = learner({ memberships: [member(1, 'hr')], holds: [{ feed: 'hr' }] });
    expect(plan({ live, claim: claim(), protectedGroups: new Set([1 as GroupId]) })).toMatchObject({
      shielded: true,
      change: null,
    });
    expect(plan({ live, claim: null, protectedLearner: true })).toMatchObject({ shielded: true, change: null });
  });

  test('R15: a window is not cut short in a group that a rejected row names, and a longer one is taken', () => {
    const live = learner({
      memberships: [{ group: 1 as GroupId, sources: [{ source: 'hr', until: days(9) }] }],
      holds: [{ feed: 'hr' }],
    });
    const says = (until: number) => claim({ groups: [{ group: 1 as GroupId, windows: [{ until: days(until) }] }] });
    const protectedGroups = new Set([1 as GroupId]);
    expect(plan({ live, claim: says(3), protectedGroups })).toMatchObject({ change: null, shielded: true });
    expect(plan({ live, claim: says(12), protectedGroups }).change?.memberships).toMatchObject([
      { after: [{ until: days(12) }] },
    ]);
  });

  test('R20: a leaver is removed with the leaver option once the grace days have passed', () => {
    const live = learner({
      memberships: [member(1, 'hr'), member(2, 'hr', 'manual')],
      holds: [{ feed: 'hr', created: true }],
    });
    const graced = policy({ leaver: { courses: 'purge', graceDays: 3 } });
    const first = plan({ live, policy: graced, claim: null });
    expect(first).toMatchObject({ graceRuns: true, change: { memberships: [], hold: { after: { leftAt: NOW } } } });
    const waiting = after(live, first);
    expect(plan({ live: waiting, policy: graced, claim: null, now: days(2.9) })).toEqual({
      change: null,
      shielded: false,
      graceRuns: true,
    });
    const gone = plan({ live: waiting, policy: graced, claim: null, now: days(3) });
    expect(gone.change?.memberships).toEqual([
      { group: 1, source: 'hr', before: [{}], after: [], courses: 'purge' },
      { group: 2, source: 'hr', before: [{}], after: [], courses: 'purge' },
    ]);
    const last = after(waiting, gone);
    expect(last.memberships).toEqual([member(2, 'manual')]);
    expect(last.status).toBe('active');
    expect(
      after(waiting, plan({ live: waiting, policy: graced, claim: claim({ groups: always(1, 2) }) })).holds,
    ).toEqual(live.holds);
  });

  test.each([
    ['created by the feed, held by nothing else', [{ feed: 'hr', created: true }], [member(1, 'hr')], 'inactive'],
    ['created by somebody else', [{ feed: 'hr' }], [member(1, 'hr')], 'active'],
    ['in a group by hand', [{ feed: 'hr', created: true }], [member(1, 'hr', 'manual')], 'active'],
    ['named by another feed', [{ feed: 'crm' }, { feed: 'hr', created: true }], [member(1, 'hr')], 'active'],
  ] as const)('R20: a leaver %s ends %#', (_, holds, memberships, status) => {
    const live = learner({ holds, memberships });
    expect(after(live, plan({ live, claim: null })).status).toBe(status);
    expect(after(live, plan({ live, claim: claim({ status: 'left' }) })).status).toBe(status);
  });

  test('R20: a leaver whom the feed does not hold is none of its business', () => {
    const live = learner({ memberships: [member(1, 'manual')] });
    expect(plan({ live, claim: claim({ status: 'left', firstName: 'Ann' }) }).change).toBeNull();
  });

  test('R20: who comes back is active again', () => {
    const live = learner({ status: 'inactive', holds: [{ feed: 'hr', created: true, leftAt: days(-9) }] });
    expect(after(live, plan({ live, claim: claim() }))).toMatchObject({
      status: 'active',
      holds: [{ feed: 'hr', created: true }],
    });
  });

  test('R20 R23: a learner ends inactive whichever of two feeds lets go first', () => {
    const live = learner({
      memberships: [member(1, 'hr'), member(2, 'crm')],
      holds: [{ feed: 'crm' }, { feed: 'hr', created: true }],
    });
    const leave = (one: Learner, feed: string) =>
      after(one, plan({ live: one, policy: policy({ feed }), claim: null }));
    expect(leave(leave(live, 'hr'), 'crm')).toMatchObject({ status: 'inactive', memberships: [] });
    expect(leave(leave(live, 'crm'), 'hr')).toMatchObject({ status: 'inactive', memberships: [] });
  });

  test('R14 R23: two feeds planned one after the other end the same in either order', () => {
    const feedOf = (feed: string): FeedPolicy => policy({ feed });
    const bare = ({ groups, status }: Claim) => claim({ groups, status });
    fc.assert(
      fc.property(anyLearner, fc.option(anyClaim('full')), fc.option(anyClaim('full')), (live, hr, crm) => {
        const night = (one: Learner, feed: string, says: Claim | null) =>
          after(one, plan({ live: one, policy: feedOf(feed), claim: says && bare(says) }));
        const one = night(night(live, 'hr', hr), 'crm', crm);
        const other = night(night(live, 'crm', crm), 'hr', hr);
        expect(one).toEqual(other);
      }),
      { numRuns: 500 },
    );
  });

  test('R14 R23: two feeds planned on the same facts end the same whichever is applied first', () => {
    fc.assert(
      fc.property(anyLearner, fc.option(anyClaim('full')), fc.option(anyClaim('full')), (live, hr, crm) => {
        const a = plan({ live, policy: policy({ feed: 'hr' }), claim: hr });
        const b = plan({ live, policy: policy({ feed: 'crm' }), claim: crm });
        const { memberships, holds } = after(after(live, a), b);
        expect(after(after(live, b), a)).toMatchObject({ memberships, holds });
      }),
    );
  });

  test('R12: a learner found by e-mail receives the External ID; one who has one keeps it', () => {
    const { externalId: _, ...nameless } = learner();
    expect(plan({ live: nameless, claim: claim() }).change?.fields).toEqual([{ field: 'externalId', after: '007' }]);
    expect(plan({ live: learner(), claim: claim({ externalId: '008' as never }) }).change?.fields).toEqual([]);
  });

  test('what a feed does not map stays as it is, an empty text takes it away', () => {
    const live = learner({
      email: 'a@x.org',
      firstName: 'Ann',
      attributes: { city: 'Ghent', desk: '4' },
      holds: [{ feed: 'hr' }],
    });
    expect(plan({ live, claim: claim({ firstName: '', attributes: { city: '' } }) }).change?.fields).toEqual([
      { field: 'firstName', before: 'Ann' },
      { field: 'attributes.city', before: 'Ghent' },
    ]);
  });

  test('an attribute may be called as any property of an object is', () => {
    const live = learner({ holds: [{ feed: 'hr' }] });
    const attributes = JSON.parse('{"constructor": "a", "__proto__": "b"}');
    const { change } = plan({ live, claim: claim({ attributes }) });
    expect(change?.fields).toEqual([
      { field: 'attributes.constructor', after: 'a' },
      { field: 'attributes.__proto__', after: 'b' },
    ]);
  });
});
