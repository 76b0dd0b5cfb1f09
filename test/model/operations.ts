import * as fc from 'fast-check';
import type { FeedRules, Option, Row, Span } from './model.ts';

const PEOPLE = ['p1', 'p2', 'p3', 'p4', 'p5'];
export const GROUPS = ['g1', 'g2', 'g3', 'g4'];
export const COURSES = ['c1', 'c2', 'c3'];
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** One thing that happens. Times in feeds are ms after the sequence began. */
export type Operation =
  | {
      readonly op: 'night';
      readonly feed: 0 | 1;
      readonly rows: readonly Row[];
      readonly held: 'approve' | 'reject' | 'leave';
    }
  | { readonly op: 'again'; readonly feed: 0 | 1 }
  | { readonly op: 'approve'; readonly feed: 0 | 1 }
  | { readonly op: 'create'; readonly who: string }
  | { readonly op: 'add'; readonly who: readonly string[]; readonly group: string }
  | { readonly op: 'remove'; readonly who: readonly string[] | 'all'; readonly group: string; readonly option: Option }
  | { readonly op: 'move'; readonly who: string; readonly from: string; readonly to: string }
  | { readonly op: 'link'; readonly group: string; readonly courses: readonly string[] }
  | { readonly op: 'unlink'; readonly group: string; readonly courses: readonly string[]; readonly option: Option }
  | { readonly op: 'moveGroup'; readonly group: string; readonly parent: string | null; readonly option: Option }
  | { readonly op: 'deleteGroup'; readonly group: string; readonly option: Option }
  | { readonly op: 'createGroup'; readonly group: string; readonly parent: string | null }
  | { readonly op: 'grant'; readonly who: readonly string[]; readonly course: string }
  | {
      readonly op: 'revoke';
      readonly who: readonly string[];
      readonly course: string;
      readonly option: 'expire' | 'purge';
    }
  | { readonly op: 'progress'; readonly who: string; readonly course: string }
  | { readonly op: 'forward'; readonly ms: number };

export interface World {
  readonly groups: readonly (readonly [string, string | null, readonly string[]])[];
  readonly feeds: readonly [FeedRules, FeedRules];
}

const option = fc.constantFrom<Option>('keep', 'expire', 'purge');
const who = fc.constantFrom(...PEOPLE);
const people = fc.subarray(PEOPLE, { minLength: 1, maxLength: 3 });
const group = fc.constantFrom(...GROUPS);
const course = fc.constantFrom(...COURSES);
const courses = fc.subarray(COURSES, { minLength: 1 });
const parent = fc.option(group, { freq: 3 });

const span: fc.Arbitrary<Span> = fc.oneof(
  { weight: 3, arbitrary: fc.constant({}) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 12 }).map((day) => ({ until: day * DAY })) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 12 }).map((day) => ({ from: day * DAY })) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 1, max: 5 }))
      .map(([day, length]) => ({ from: day * DAY, until: (day + length) * DAY })),
  },
);

const rarely = (times: number) => fc.integer({ min: 0, max: times }).map((one) => one === 1);
const row = (delta: boolean): fc.Arbitrary<Row> =>
  fc
    .record({
      who,
      groups: fc.oneof(
        { weight: 9, arbitrary: fc.subarray(GROUPS, { minLength: delta ? 1 : 0, maxLength: 3 }) },
        { weight: 1, arbitrary: group.map((one) => [one, 'nowhere']) },
      ),
      span,
      left: rarely(12),
      remove: fc.boolean(),
      broken: rarely(15),
    })
    .map(({ left, remove, ...rest }) => ({ ...rest, ...(delta ? { remove } : { left }) }));

const held = fc.constantFrom('approve' as const, 'approve' as const, 'reject' as const, 'leave' as const);
const rows = (delta: boolean) => fc.array(row(delta), { minLength: 1, maxLength: delta ? 4 : 7 });

export const anyOperation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 6,
    arbitrary: rows(false).chain((some) =>
      held.map((then): Operation => ({ op: 'night', feed: 0, rows: some, held: then })),
    ),
  },
  {
    weight: 4,
    arbitrary: rows(true).chain((some) =>
      held.map((then): Operation => ({ op: 'night', feed: 1, rows: some, held: then })),
    ),
  },
  { weight: 2, arbitrary: fc.constantFrom(0 as const, 1 as const).map((feed): Operation => ({ op: 'again', feed })) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(0 as const, 1 as const).map((of): Operation => ({ op: 'approve', feed: of })),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('create' as const), who }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('add' as const), who: people, group }) },
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant('remove' as const),
      who: fc.oneof({ weight: 3, arbitrary: people }, { weight: 1, arbitrary: fc.constant('all' as const) }),
      group,
      option,
    }),
  },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('move' as const), who, from: group, to: group }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('link' as const), group, courses }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('unlink' as const), group, courses, option }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('moveGroup' as const), group, parent, option }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('deleteGroup' as const), group, option }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('createGroup' as const), group, parent }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('grant' as const), who: people, course }) },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant('revoke' as const),
      who: people,
      course,
      option: fc.constantFrom('expire' as const, 'purge' as const),
    }),
  },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('progress' as const), who, course }) },
  {
    weight: 4,
    arbitrary: fc.constantFrom(6, 24, 24, 60).map((hours): Operation => ({ op: 'forward', ms: hours * HOUR })),
  },
);

const feed = (name: string, delta: boolean): fc.Arbitrary<FeedRules> =>
  fc.record({
    name: fc.constant(name),
    delta: fc.constant(delta),
    leaver: option,
    graceDays: delta ? fc.constant(0) : fc.constantFrom(0, 0, 2),
    moved: option,
    maxRemoved: fc.constantFrom(1, 100),
  });

/** A tree of four groups, some links, and a full and a delta feed. */
export const anyWorld: fc.Arbitrary<World> = fc.record({
  groups: fc
    .tuple(
      ...GROUPS.map((_, at) =>
        fc.tuple(fc.option(fc.integer({ min: 0, max: Math.max(0, at - 1) })), fc.subarray(COURSES)),
      ),
    )
    .map((all) =>
      all.map(
        ([above, some], at) =>
          [GROUPS[at] as string, at > 0 && above !== null ? (GROUPS[above] as string) : null, some] as const,
      ),
    ),
  feeds: fc.tuple(feed('hr', false), feed('crm', true)),
});
