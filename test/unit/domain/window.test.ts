import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Window } from '../../../src/domain/learner.ts';
import { covers, isOpen, sameWindows, unite } from '../../../src/domain/window.ts';
import { anyWindow, days } from './arbitraries.ts';

const anyList = fc.array(anyWindow, { maxLength: 5 });
const MOMENTS = Array.from({ length: 41 }, (_, at) => days(-5 + at / 4));
const openAt = (windows: readonly Window[]) => MOMENTS.map((moment) => windows.some((one) => isOpen(one, moment)));

describe('windows', () => {
  test('R5: a window is open from its first moment until just before its last', () => {
    const window = { from: days(1), until: days(3) };
    expect([0.9, 1, 2.9, 3].map((day) => isOpen(window, days(day)))).toEqual([false, true, true, false]);
    expect(isOpen({}, days(0))).toBe(true);
  });

  test('uniting keeps every moment and adds none', () => {
    fc.assert(
      fc.property(anyList, (list) => {
        expect(openAt(unite(list))).toEqual(openAt(list));
      }),
    );
  });

  test('R18: united windows are the same whatever the order, the repetition and the grouping', () => {
    fc.assert(
      fc.property(anyList, anyList, (a, b) => {
        const once = unite([...a, ...b]);
        expect(unite([...b, ...a, ...a])).toEqual(once);
        expect(unite([...unite(a), ...unite(b)])).toEqual(once);
        expect(unite(once)).toEqual(once);
      }),
    );
  });

  test('united windows are sorted and do not touch', () => {
    fc.assert(
      fc.property(anyList, (list) => {
        const united = unite(list);
        for (const [at, next] of united.slice(1).entries()) {
          expect((united[at] as Window).until?.getTime()).toBeLessThan((next.from as Date).getTime());
        }
      }),
    );
  });

  test('equal lists are those that are open at the same moments', () => {
    fc.assert(
      fc.property(anyList, anyList, (a, b) => {
        const same = openAt(a).every((open, at) => open === openAt(b)[at]);
        expect(sameWindows(unite(a), unite(b))).toBe(same);
      }),
    );
  });

  test('windows cover others where they are open at each of their moments', () => {
    fc.assert(
      fc.property(anyList, anyList, (a, b) => {
        const outer = openAt(a);
        expect(covers(unite(a), unite(b))).toBe(openAt(b).every((open, at) => !open || outer[at]));
      }),
    );
  });
});
