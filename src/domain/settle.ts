import type { Change, RemovalOption, SubscriptionEvent } from './change.ts';
import { entitledCourses, through } from './entitlement.ts';
import type { CourseId, GroupId, LearnerId, SourceName } from './ids.ts';
import type { Membership, Window } from './learner.ts';
import type { Structure } from './structure.ts';

export interface Subscription {
  readonly course: CourseId;
  readonly status: 'active' | 'expired';
  /** A direct grant: made by hand, or kept by removal option `keep`. */
  readonly direct: boolean;
  /** Since when it has this status. */
  readonly since: Date;
}

/** All subscriptions of one learner. */
export interface Subscriptions {
  readonly learner: LearnerId;
  /** Goes up with every write; 0 = nothing stored yet. */
  readonly revision: number;
  /** The earliest window boundary that has not been settled yet (R5). */
  readonly due?: Date;
  readonly items: readonly Subscription[];
}

/** A removal and what it does to these courses where nothing else gives them any more. */
export interface Ending {
  readonly courses: readonly CourseId[];
  readonly option: RemovalOption;
}

/** How far a settlement may go. Each includes the ones before: an `expire` subscribes too, so that a move is one step (R9). */
export type SettleKind = 'subscribe' | 'expire' | 'purge';

export interface Settlement {
  readonly learner: LearnerId;
  readonly items: readonly Subscription[];
  readonly due?: Date;
  /** Whether items or due differ from what was stored. */
  readonly changed: boolean;
  readonly events: readonly SubscriptionEvent[];
  /** Courses whose results are to be deleted, whether or not a subscription was stored. */
  readonly purge: readonly CourseId[];
}

export interface SettleInput {
  readonly learner: LearnerId;
  readonly memberships: readonly Membership[];
  readonly held: Subscriptions | undefined;
  readonly structure: Structure;
  readonly now: Date;
  readonly kind: SettleKind;
  readonly endings: readonly Ending[];
  /** Courses to give as direct grants, and direct grants to take back, by hand. */
  readonly grant?: ReadonlySet<CourseId>;
  readonly revoke?: ReadonlySet<CourseId>;
  /** Direct grants to take back where a group gives the course: those that a `keep` made which is turned back. */
  readonly release?: ReadonlySet<CourseId>;
  /** Windows that have closed since a change set them, so that nobody could foresee their end. */
  readonly closed?: readonly ClosedWindow[];
  /** What the end of a window of this source does to the courses (R5): the feed's leaver option. */
  readonly windowOption: (source: SourceName) => RemovalOption;
}

/** The end of a membership's window. */
export interface ClosedWindow {
  readonly group: GroupId;
  readonly source: SourceName;
  readonly until: Date;
}

/** For all learners together, as most have no such courses: nothing is ever added to it. */
const NO_COURSES = new Set<CourseId>();

/**
 * Brings one learner's subscriptions in line with the stored facts (R2–R8). Pure and level-triggered: settling
 * what is settled changes nothing. A `purge` in `endings` deletes only what nothing gives any more (R8); a `keep`
 * turns what was active into a direct grant (R6), and wins over a `purge` of that course; of what was not active it
 * says nothing, so that being told twice ends as being told once.
 */
export function settle(input: SettleInput): Settlement {
  const { held, now, kind } = input;
  const entitled = entitledCourses(input.memberships, input.structure, now);
  const granted = input.grant ? new Set(input.grant) : NO_COURSES;
  const windows = windowEndings(input);
  const endings = windows.endings.length > 0 ? [...input.endings, ...windows.endings] : input.endings;
  const keep = coursesOf(endings, 'keep');
  for (const course of input.revoke ?? []) keep.delete(course);
  const purge = kind === 'purge' ? coursesOf(endings, 'purge') : NO_COURSES;
  const events: SubscriptionEvent[] = [];
  const purged: CourseId[] = [];
  const items: Subscription[] = [];

  for (const stored of held?.items ?? []) {
    const { course } = stored;
    const given = entitled.delete(course);
    const taken = input.revoke?.has(course) || (given && input.release?.has(course));
    const direct = granted.delete(course) || (stored.direct && !taken);
    const item = direct === stored.direct ? stored : { ...stored, direct };
    if (item !== stored) events.push({ kind: direct ? 'granted' : 'revoked', course });
    if (given || direct) {
      if (purge.has(course)) {
        const groups = through(course, input.memberships, input.structure, now);
        events.push({ kind: 'purge-skipped', course, through: groups });
      }
      if (item.status === 'active') items.push(item);
      else {
        items.push({ ...item, status: 'active', since: now });
        events.push({ kind: 'reactivated', course });
      }
    } else if (keep.has(course) && item.status === 'active') {
      items.push({ ...item, direct: true });
      events.push({ kind: 'kept', course });
    } else if (purge.has(course)) {
      purged.push(course);
      events.push({ kind: 'purged', course, held: true });
    } else if (item.status === 'active' && kind !== 'subscribe') {
      items.push({ ...item, status: 'expired', since: now });
      events.push({ kind: 'expired', course });
    } else items.push(item);
    purge.delete(course);
  }
  for (const course of granted) entitled.add(course);
  for (const course of entitled) {
    if (purge.has(course)) {
      const groups = through(course, input.memberships, input.structure, now);
      events.push({ kind: 'purge-skipped', course, through: groups });
      purge.delete(course);
    }
    if (granted.has(course)) events.push({ kind: 'granted', course });
    items.push({ course, status: 'active', direct: granted.has(course), since: now });
    events.push({ kind: 'subscribed', course });
  }
  purged.push(...purge);

  const due = windows.settled ? nextBoundary(input.memberships, now) : windows.since;
  const changed = due?.getTime() !== held?.due?.getTime() || events.some((event) => event.kind !== 'purge-skipped');
  return { learner: input.learner, items, ...(due && { due }), changed, events, purge: purged };
}

/** The earliest moment after `now` at which a window of these memberships opens or closes (R5). */
export function nextBoundary(memberships: readonly Membership[], now: Date): Date | undefined {
  let next: Date | undefined;
  for (const { sources } of memberships) {
    for (const { from, until } of sources) {
      if (from && from > now && (!next || from < next)) next = from;
      if (until && until > now && (!next || until < next)) next = until;
    }
  }
  return next;
}

/** The courses of these groups (their own and those of the groups above), as an ending. */
export function endingOf(groups: readonly GroupId[], option: RemovalOption, structure: Structure): Ending {
  return { option, courses: groups.flatMap((group) => structure.courses(group)) };
}

/** Endings that a change brings: the courses of the groups it takes away, with the option that goes with it. */
export function endingsOf(change: Change, structure: Structure): Ending[] {
  return change.memberships.flatMap(({ group, courses }) => (courses ? [endingOf([group], courses, structure)] : []));
}

/** Courses that each group gave to its members and gives no more, after a change of structure (R10). */
export function lostCourses(before: Structure, after: Structure, groups: readonly GroupId[]): Map<GroupId, CourseId[]> {
  const lost = new Map<GroupId, CourseId[]>();
  for (const group of groups) {
    const still = new Set(after.courses(group));
    const gone = before.courses(group).filter((course) => !still.has(course));
    if (gone.length > 0) lost.set(group, gone);
  }
  return lost;
}

/**
 * Windows that closed since the last settlement. `settled: false`: this kind may not go far enough for them; they are due
 * `since` then.
 */
function windowEndings(input: SettleInput): { endings: readonly Ending[]; settled: boolean; since?: Date } {
  const { held, now, kind, closed = [] } = input;
  const wasDue = held?.due && held.due <= now ? held.due : undefined;
  if (!wasDue && closed.length === 0) return NO_WINDOWS;
  const endings = closed.map(({ group, source }) => endingOf([group], input.windowOption(source), input.structure));
  for (const { group, sources } of wasDue ? input.memberships : []) {
    for (const { source, until } of sources) {
      if (!until || until > now || until < (wasDue as Date)) continue;
      endings.push(endingOf([group], input.windowOption(source), input.structure));
    }
  }
  const needs = endings.some(({ option }) => option === 'purge')
    ? 'purge'
    : endings.length > 0
      ? 'expire'
      : 'subscribe';
  const since = closed.reduce((first, { until }) => (first && first <= until ? first : until), wasDue);
  return { endings, settled: STRENGTH[kind] >= STRENGTH[needs], ...(since && { since }) };
}

/**
 * Windows that a change has ended at a moment that has passed since it was planned, and that would not have ended then
 * before. What had passed when it was planned bears its option in the change.
 */
export function closedSince({ memberships }: Change, planned: Date, now: Date): ClosedWindow[] {
  return memberships.flatMap(({ group, source, before, after, courses }) =>
    courses
      ? []
      : after.flatMap(({ until }) =>
          until && until > planned && until <= now && before.some((one) => reachesBeyond(one, until))
            ? [{ group, source, until }]
            : [],
        ),
  );
}

function reachesBeyond({ from, until }: Window, moment: Date): boolean {
  return (!from || from < moment) && (!until || until > moment);
}

const NO_WINDOWS = { endings: [], settled: true };

const STRENGTH: Record<SettleKind, number> = { subscribe: 0, expire: 1, purge: 2 };

export function strongest(a: SettleKind, b: SettleKind): SettleKind {
  return STRENGTH[a] >= STRENGTH[b] ? a : b;
}

function coursesOf(endings: readonly Ending[], option: RemovalOption): Set<CourseId> {
  if (endings.length === 0) return NO_COURSES;
  return new Set(endings.flatMap((ending) => (ending.option === option ? ending.courses : [])));
}
