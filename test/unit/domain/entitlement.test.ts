import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { entitledCourses, isValid, through } from '../../../src/domain/entitlement.ts';
import type { CourseId } from '../../../src/domain/ids.ts';
import { Structure } from '../../../src/domain/structure.ts';
import { anyMemberships, anyStructure, COURSES, days, group, member, NOW } from './arbitraries.ts';

const COMPANY = new Structure([group(1, [1]), group(2, [2], 1), group(3, [2, 3]), group(4)]);

describe('entitlement', () => {
  test('R1: a member gets the courses of the group and of those above, not of those below or beside', () => {
    expect([...entitledCourses([member(2, 'hr')], COMPANY, NOW)]).toEqual([2, 1]);
    expect([...entitledCourses([member(1, 'hr')], COMPANY, NOW)]).toEqual([1]);
    expect([...entitledCourses([member(4, 'hr')], COMPANY, NOW)]).toEqual([]);
  });

  test('R2: the courses of a union of memberships are the union of their courses', () => {
    fc.assert(
      fc.property(
        anyStructure,
        anyMemberships,
        anyMemberships,
        fc.integer({ min: -5, max: 5 }),
        (structure, a, b, day) => {
          const now = days(day);
          const together = entitledCourses([...a, ...b], structure, now);
          expect(together).toEqual(
            new Set([...entitledCourses(a, structure, now), ...entitledCourses(b, structure, now)]),
          );
        },
      ),
    );
  });

  test('R5: a membership is valid while any of its sources holds it', () => {
    const twice = {
      group: member(1).group,
      sources: [
        { source: 'hr', until: days(1) },
        { source: 'manual', from: days(3) },
      ],
    };
    expect([0, 1, 2, 3].map((day) => isValid(twice, days(day)))).toEqual([true, false, false, true]);
  });

  test('R8: the groups through which a course comes are named exactly where it is given', () => {
    fc.assert(
      fc.property(anyStructure, anyMemberships, fc.constantFrom(...COURSES), (structure, memberships, course) => {
        const givers = through(course, memberships, structure, NOW);
        expect(givers.length > 0).toBe(entitledCourses(memberships, structure, NOW).has(course));
        for (const id of givers) expect(structure.group(id)?.courses).toContain(course);
      }),
    );
    expect(through(2 as CourseId, [member(2, 'hr'), member(3, 'hr')], COMPANY, NOW)).toEqual([2, 3]);
  });
});
