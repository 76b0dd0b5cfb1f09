import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { applyChange, createLearner } from '../../../src/domain/applyChange.ts';
import type { Change } from '../../../src/domain/change.ts';
import type { GroupId, LearnerId } from '../../../src/domain/ids.ts';
import { planLearner } from '../../../src/domain/planLearner.ts';
import { reverse, undoChange } from '../../../src/domain/undo.ts';
import { anyClaim, anyLearner, anyPolicy, claim, days, learner, member, NOW, policy } from './arbitraries.ts';

const anyGroup = () => true;
const facts = ({ revision: _, ...rest }: ReturnType<typeof learner>) => rest;

const anyPlanned = fc
  .tuple(anyLearner, anyPolicy)
  .chain(([live, rules]) => fc.tuple(fc.constant(live), fc.constant(rules), fc.option(anyClaim(rules.mode))))
  .map(([live, rules, said]) => ({
    live,
    change: planLearner({
      policy: rules,
      live,
      claim: said,
      newId: undefined,
      now: NOW,
      protectedLearner: false,
      protectedGroups: new Set(),
    }).change,
  }))
  .filter((one): one is { live: typeof one.live; change: Change } => one.change !== null);

describe('R25: undo', () => {
  test('after apply gives the state before, when nothing came between', () => {
    fc.assert(
      fc.property(anyPlanned, ({ live, change }) => {
        const after = applyChange(live, change);
        const { change: back, overtaken } = undoChange(change, after, anyGroup);
        expect(overtaken).toEqual([]);
        expect(facts(back ? applyChange(after, back) : after)).toEqual(facts(live));
        expect(facts(applyChange(after, reverse(change)))).toEqual(facts(live));
      }),
    );
  });

  test('of what was undone already finds nothing to do', () => {
    fc.assert(
      fc.property(anyPlanned, ({ live, change }) => {
        const after = applyChange(live, change);
        const back = undoChange(change, after, anyGroup).change;
        const again = undoChange(change, back ? applyChange(after, back) : after, anyGroup);
        expect(again).toEqual({ change: null, overtaken: [] });
      }),
    );
  });

  test('touches nothing that a newer change has made otherwise, and lists it', () => {
    const live = learner({ lastName: 'Arbor', memberships: [member(1, 'hr')], holds: [{ feed: 'hr' }] });
    const change = planLearner({
      policy: policy(),
      live,
      claim: claim({ lastName: 'Berg', groups: [{ group: 2 as GroupId, windows: [{}] }] }),
      newId: undefined,
      now: NOW,
      protectedLearner: false,
      protectedGroups: new Set(),
    }).change as Change;
    const later = {
      ...applyChange(live, change),
      lastName: 'Cole',
      memberships: [{ group: 2 as GroupId, sources: [{ source: 'hr', until: days(3) }] }],
    };
    const { change: back, overtaken } = undoChange(change, later, anyGroup);
    expect(overtaken).toEqual([
      { group: 2, source: 'hr', why: 'it was changed since' },
      { field: 'lastName', why: 'it was changed since' },
    ]);
    expect(back).toEqual({
      learner: 7,
      revision: 3,
      fields: [],
      memberships: [{ group: 1, source: 'hr', before: [], after: [{}] }],
    });
  });

  test('of a creation makes the learner inactive and takes away what the run gave, and deletes nobody', () => {
    const change: Change = {
      learner: 7 as LearnerId,
      revision: 0,
      create: { status: 'active', attributes: {}, lastName: 'Arbor' },
      fields: [],
      memberships: [{ group: 1 as GroupId, source: 'hr', before: [], after: [{}] }],
      hold: { before: null, after: { feed: 'hr', created: true } },
    };
    const made = createLearner(change);
    const { change: back } = undoChange(change, made, anyGroup);
    expect(applyChange(made, back as Change)).toEqual({ ...made, status: 'inactive', memberships: [], holds: [] });
    const held = { ...made, memberships: [...made.memberships, member(2, 'manual')] };
    const kept = undoChange(change, held, anyGroup);
    expect(kept.overtaken).toEqual([{ field: 'status', why: 'something else holds the learner' }]);
    expect(applyChange(held, kept.change as Change)).toMatchObject({
      status: 'active',
      memberships: [member(2, 'manual')],
    });
  });

  test('does not put anybody back into a group that is there no more', () => {
    const change: Change = {
      learner: 7 as LearnerId,
      revision: 3,
      fields: [],
      memberships: [{ group: 1 as GroupId, source: 'hr', before: [{}], after: [], courses: 'expire' }],
    };
    expect(undoChange(change, learner(), () => false)).toEqual({
      change: null,
      overtaken: [{ group: 1, source: 'hr', why: 'the group is there no more' }],
    });
  });
});
