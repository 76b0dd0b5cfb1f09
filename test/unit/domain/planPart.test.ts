import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { applyChange } from '../../../src/domain/applyChange.ts';
import type { Change } from '../../../src/domain/change.ts';
import type { LearnerId } from '../../../src/domain/ids.ts';
import { planLearner } from '../../../src/domain/planLearner.ts';
import { partOf } from '../../../src/domain/planPart.ts';
import { covers, unite } from '../../../src/domain/window.ts';
import { anyClaim, anyLearner, anyPolicy, NOW } from './arbitraries.ts';

const anyPlanned = fc
  .tuple(anyLearner, anyPolicy)
  .chain(([live, policy]) => fc.tuple(fc.constant(live), fc.constant(policy), fc.option(anyClaim(policy.mode))))
  .map(([live, policy, claim]) => {
    const shields = { protectedLearner: false, protectedGroups: new Set<never>() };
    return { live, change: planLearner({ policy, live, claim, newId: undefined, now: NOW, ...shields }).change };
  })
  .filter((one): one is { live: typeof one.live; change: Change } => one.change !== null);

describe('a plan without its removals', () => {
  test('takes no moment of a membership and nobody’s active status away, and adds all that the plan adds', () => {
    fc.assert(
      fc.property(anyPlanned, ({ live, change }) => {
        const part = partOf(change, { kind: 'without-removals' });
        const after = part ? applyChange(live, part) : live;
        for (const { group, sources } of live.memberships) {
          for (const { source } of sources) {
            const windows = (of: typeof live) =>
              unite(
                (of.memberships.find((one) => one.group === group)?.sources ?? [])
                  .filter((one) => one.source === source)
                  .map(({ from, until }) => ({ ...(from && { from }), ...(until && { until }) })),
              );
            expect(covers(windows(after), windows(live))).toBe(true);
          }
        }
        expect([live.status, after.status]).not.toEqual(['active', 'inactive']);
        const added = change.memberships.filter(({ before }) => before.length === 0);
        for (const one of added) expect(part?.memberships).toContainEqual(one);
      }),
    );
  });

  test('of its own result is the same again', () => {
    fc.assert(
      fc.property(anyPlanned, ({ change }) => {
        const part = partOf(change, { kind: 'without-removals' });
        expect(part && partOf(part, { kind: 'without-removals' })).toBe(part);
      }),
    );
  });
});

test('rows choose the changes that they say, and a leaver, of whom no row speaks, is none of them', () => {
  const change: Change = { learner: 7 as LearnerId, revision: 1, fields: [], memberships: [], rows: [4, 9] };
  expect(partOf(change, { kind: 'only', rows: new Set([9]) })).toBe(change);
  expect(partOf(change, { kind: 'only', rows: new Set([5]) })).toBeNull();
  const { rows: _, ...leaver } = change;
  expect(partOf(leaver, { kind: 'only', rows: new Set([9]) })).toBeNull();
  expect(partOf(change, { kind: 'except', learners: new Set([7 as LearnerId]) })).toBeNull();
});
