import * as fc from 'fast-check';
import type { RemovalOption } from '../../../src/domain/change.ts';
import type { Claim } from '../../../src/domain/claim.ts';
import { DEFAULT_LIMITS } from '../../../src/domain/guard.ts';
import type { CourseId, ExternalId, GroupId, LearnerId } from '../../../src/domain/ids.ts';
import type { FeedHold, Learner, Membership, Window } from '../../../src/domain/learner.ts';
import type { FeedPolicy } from '../../../src/domain/policy.ts';
import { type Group, Structure } from '../../../src/domain/structure.ts';
import { unite, window } from '../../../src/domain/window.ts';

export const NOW = new Date('2026-01-10T02:00:00Z');
export const DAY = 86_400_000;
export const days = (count: number) => new Date(NOW.getTime() + count * DAY);

export const OPTIONS: readonly RemovalOption[] = ['keep', 'expire', 'purge'];
export const GROUPS = [1, 2, 3, 4, 5] as GroupId[];
export const COURSES = [1, 2, 3, 4] as CourseId[];

export const group = (id: number, courses: number[] = [], parent?: number): Group => ({
  id: id as GroupId,
  externalId: `g${id}` as ExternalId,
  name: `Group ${id}`,
  ...(parent !== undefined && { parent: parent as GroupId }),
  instructors: [],
  subenvironments: [],
  courses: courses as CourseId[],
});

/** A membership held by these sources without windows. */
export const member = (id: number, ...sources: string[]): Membership => ({
  group: id as GroupId,
  sources: sources.map((source) => ({ source })),
});

export const learner = (more: Partial<Learner> = {}): Learner => ({
  id: 7 as LearnerId,
  revision: 3,
  externalId: '007' as ExternalId,
  status: 'active',
  attributes: {},
  memberships: [],
  holds: [],
  ...more,
});

export const claim = (more: Partial<Claim> = {}): Claim => ({
  externalId: '007' as ExternalId,
  rows: [2],
  attributes: {},
  status: 'active',
  groups: [],
  removed: [],
  ...more,
});

export const policy = (more: Partial<FeedPolicy> = {}): FeedPolicy => ({
  feed: 'hr',
  mode: 'full',
  unknownGroup: 'reject',
  unknownLearner: 'create',
  match: ['externalId'],
  leaver: { courses: 'expire', graceDays: 0 },
  moved: { courses: 'expire' },
  authority: 'feed',
  limits: DEFAULT_LIMITS,
  ...more,
});

export const anyOption = fc.constantFrom(...OPTIONS);

export const anyStructure = fc
  .tuple(
    ...GROUPS.map((id) => fc.tuple(fc.option(fc.integer({ min: 1, max: Math.max(1, id - 1) })), fc.subarray(COURSES))),
  )
  .map(
    (all) =>
      new Structure(all.map(([parent, courses], at) => group(at + 1, courses, at > 0 && parent ? parent : undefined))),
  );

const anyMoment = fc.option(fc.integer({ min: -4, max: 4 }), { nil: undefined, freq: 2 });

/** Any window of whole days about NOW, empty ones too. */
export const anyWindow = fc
  .tuple(anyMoment, anyMoment)
  .map(([from, until]) =>
    window(from === undefined ? undefined : days(from), until === undefined ? undefined : days(until)),
  );

/** Windows as they are stored: sorted, disjoint, at least one. */
export const anyWindows = fc
  .array(anyWindow, { minLength: 1, maxLength: 3 })
  .map((list): Window[] => unite(list))
  .filter((list) => list.length > 0);

export const anyMemberships: fc.Arbitrary<Membership[]> = fc.subarray(GROUPS).chain((groups) =>
  fc.tuple(
    ...groups.map((id) =>
      fc
        .subarray(['crm', 'hr', 'manual'], { minLength: 1 })
        .chain((sources) => fc.tuple(...sources.map((source) => fc.tuple(fc.constant(source), anyWindows))))
        .map((held) => ({
          group: id,
          sources: held.flatMap(([source, windows]) => windows.map((one) => ({ source, ...one }))),
        })),
    ),
  ),
);

const anyText = fc.constantFrom('', 'a', 'b', 'Ünal');
const ATTRIBUTES = ['city', 'constructor', '__proto__'];
const anyAttributes = fc
  .array(fc.tuple(fc.constantFrom(...ATTRIBUTES), anyText), { maxLength: 3 })
  .map((entries): Record<string, string> => Object.fromEntries(entries));

export const anyHold = (feed: string): fc.Arbitrary<FeedHold[]> =>
  fc.oneof(
    fc.constant<FeedHold[]>([]),
    fc
      .record({ created: fc.constantFrom(true, undefined), left: fc.option(fc.integer({ min: -9, max: 0 })) })
      .map(({ created, left }) => [
        { feed, ...(created && { created }), ...(left !== null && { leftAt: days(left) }) },
      ]),
  );

export const anyLearner: fc.Arbitrary<Learner> = fc
  .record(
    {
      email: fc.constantFrom('a@x.org', 'b@x.org'),
      firstName: fc.constantFrom('a', 'b'),
      lastName: fc.constantFrom('a', 'Ünal'),
      attributes: anyAttributes,
      status: fc.constantFrom('active' as const, 'inactive' as const),
      memberships: anyMemberships,
      holds: fc.tuple(anyHold('crm'), anyHold('hr')).map((holds) => holds.flat()),
    },
    { requiredKeys: ['attributes', 'status', 'memberships', 'holds'] },
  )
  .map((parts) => learner({ ...parts, attributes: withoutEmpty(parts.attributes) }));

function withoutEmpty(attributes: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== ''));
}

export const anyClaim = (mode: 'full' | 'delta'): fc.Arbitrary<Claim> =>
  fc
    .record(
      {
        email: fc.constantFrom('', 'a@x.org', 'A@x.org'),
        firstName: anyText,
        lastName: anyText,
        attributes: anyAttributes,
        status: fc.constantFrom('active' as const, 'active' as const, 'left' as const),
        named: fc
          .subarray(GROUPS)
          .chain((groups) => fc.tuple(...groups.map((id) => fc.tuple(fc.constant(id), anyWindows, fc.boolean())))),
      },
      { requiredKeys: ['attributes', 'status', 'named'] },
    )
    .map(({ named, ...rest }) => {
      const removes = (remove: boolean) => mode === 'delta' && remove;
      return claim({
        ...rest,
        groups: named.filter(([, , remove]) => !removes(remove)).map(([id, windows]) => ({ group: id, windows })),
        removed: named.filter(([, , remove]) => removes(remove)).map(([id]) => id),
      });
    });

export const anyPolicy: fc.Arbitrary<FeedPolicy> = fc
  .record({
    feed: fc.constantFrom('hr', 'crm'),
    mode: fc.constantFrom('full' as const, 'delta' as const),
    leaver: fc.record({ courses: anyOption, graceDays: fc.constantFrom(0, 0, 3) }),
    moved: fc.record({ courses: anyOption }),
  })
  .map((parts) => policy(parts));
