import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ExternalId, GroupId } from '../../../src/domain/ids.ts';
import { fold, Structure } from '../../../src/domain/structure.ts';
import { anyStructure, GROUPS, group } from './arbitraries.ts';

const id = (number: number) => number as GroupId;
const named = (externalId: string, number = 1) => ({ ...group(number), externalId: externalId as ExternalId });

describe('the group tree', () => {
  const tree = new Structure([group(1, [1]), group(2, [2], 1), group(3, [2, 1], 2), group(4, [], 1)]);

  test('R1: inheritance goes up, each course once', () => {
    expect(tree.above(id(3))).toEqual([3, 2, 1]);
    expect(tree.below(id(1))).toEqual([1, 2, 4, 3]);
    expect(tree.courses(id(3))).toEqual([2, 1]);
    expect(tree.givers(id(3), 2 as never)).toEqual([3, 2]);
  });

  test('R1: one group lies above another exactly where the other lies below it', () => {
    fc.assert(
      fc.property(anyStructure, fc.constantFrom(...GROUPS), fc.constantFrom(...GROUPS), (structure, a, b) => {
        expect(structure.above(a).includes(b)).toBe(structure.below(b).includes(a));
      }),
    );
  });

  test('a group never comes to lie in a circle', () => {
    expect(tree.wouldCircle(id(1), id(3))).toBe(true);
    expect(tree.wouldCircle(id(2), id(2))).toBe(true);
    expect(tree.wouldCircle(id(2), id(4))).toBe(false);
    fc.assert(
      fc.property(anyStructure, fc.constantFrom(...GROUPS), fc.constantFrom(...GROUPS), (structure, moved, parent) => {
        const groups = [...structure.groups].map((one) => (one.id === moved ? { ...one, parent } : one));
        const after = new Structure(groups);
        const circles = after.above(moved).some((above) => after.group(above)?.parent === moved);
        expect(structure.wouldCircle(moved, parent)).toBe(circles);
      }),
    );
  });

  test('a circle that is stored nevertheless is gone through once, up and down', () => {
    const broken = new Structure([group(1, [1], 2), group(2, [2], 1), group(3, [], 2)]);
    expect(broken.above(id(3))).toEqual([3, 2, 1]);
    expect(broken.below(id(1))).toEqual([1, 2, 3]);
    expect(broken.courses(id(1))).toEqual([1, 2]);
  });

  test('R12: letter case and zero-padding alone make a near miss, an exact match does not', () => {
    const structure = new Structure([named('Dep-007'), named('x1', 2)]);
    expect(structure.nearMiss('dep-7' as ExternalId)?.id).toBe(1);
    expect(structure.nearMiss('X01' as ExternalId)?.id).toBe(2);
    expect(structure.nearMiss('Dep-007' as ExternalId)).toBeUndefined();
    expect(structure.nearMiss('Dep-70' as ExternalId)).toBeUndefined();
    expect(structure.byExternalId('dep-007' as ExternalId)).toBeUndefined();
    expect([fold('0'), fold('000'), fold('a0b00')]).toEqual(['0', '0', 'a0b0']);
  });
});
