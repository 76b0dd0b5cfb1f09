import type { Limits } from './policy.ts';

/** All that the limits count of one plan, before anything of it is applied. */
export interface PlanFigures {
  /** What the feed holds before the plan. */
  readonly held: { readonly memberships: number; readonly learners: number };
  /** Memberships removed, moves included. */
  readonly membershipsRemoved: number;
  /** Memberships removed from learners who get no other in the same run. */
  readonly membershipsLost: number;
  readonly membershipsAdded: number;
  /** Groups (External IDs) left without a member, with the members that they have before. */
  readonly emptiedGroups: readonly { readonly group: string; readonly members: number }[];
  /** Groups (External IDs) that lose members: how many they have before, how many of them they lose. */
  readonly groups: readonly { readonly group: string; readonly members: number; readonly removed: number }[];
  /** Learners set inactive. */
  readonly deactivated: number;
  /** Learners created. */
  readonly created: number;
  /** Learners whose e-mail or name changes. */
  readonly identityChanged: number;
  /** Learners whose results would be deleted. */
  readonly purged: number;
  /** `unrecognised` are those of the rejected rows in which no learner is recognised. */
  readonly rows: { readonly read: number; readonly rejected: number; readonly unrecognised: number };
  /** Rows of the feed's last applied run; null before the first. */
  readonly lastRows: number | null;
  /** A delta feed: its rows say what is new, so their number is not compared with that of another night. */
  readonly delta?: boolean;
  /** Whether the plan removes anything. */
  readonly removals: boolean;
  /** Memberships lost in the feed's other applied runs of the last 24 hours. */
  readonly lost24h: number;
  /** Memberships lost in the feed's other applied runs of the last 7 days, those of the last 24 hours included. */
  readonly lost7d: number;
  /** All feeds together, where there are several: memberships that they hold, and those lost in their other applied runs of the last 24 hours. */
  readonly allFeeds?: { readonly memberships: number; readonly lost24h: number };
}

/** One limit that a plan breaks. */
export interface Breach {
  readonly limit: keyof Limits;
  /** A count, or a percentage with one decimal. */
  readonly value: number;
  readonly max: number;
  /** Only of `rowsPercent`. */
  readonly min?: number;
  /** External ID of the group, where one group alone breaks the limit. */
  readonly group: string | null;
}

export const DEFAULT_LIMITS: Limits = {
  membershipsLostPercent: 5,
  membershipsRemovedPercent: 20,
  membershipsRemoved: null,
  membershipsAddedPercent: 50,
  emptiedGroups: 0,
  groupRemovedPercent: 50,
  deactivatedPercent: 5,
  createdPercent: 50,
  identityChangedPercent: 10,
  purged: 0,
  rowsPercent: { min: 80, max: 200 },
  rejectedPercent: 5,
  unrecognised: 0,
  removed24hPercent: 8,
  removed7dPercent: 15,
  allFeeds24hPercent: 8,
};

/**
 * Counts up to which a percentage of what the feed holds is always allowed, so that one leaver of a team of
 * twelve holds nothing. The sums over time count what `membershipsLostPercent` counts, so they share its floor.
 */
export const ALWAYS_ALLOWED = {
  membershipsLostPercent: 10,
  membershipsRemovedPercent: 10,
  membershipsAddedPercent: 100,
  deactivatedPercent: 10,
  createdPercent: 100,
  identityChangedPercent: 10,
  removed24hPercent: 10,
  removed7dPercent: 10,
  allFeeds24hPercent: 10,
} as const satisfies Partial<Record<keyof Limits, number>>;

/** Members from which on a group counts for `emptiedGroups`. */
export const EMPTIED_GROUP_MEMBERS = 10;
/** Members from which on a group counts for `groupRemovedPercent`. */
export const REMOVED_GROUP_MEMBERS = 20;

type Count = 'membershipsRemoved' | 'emptiedGroups' | 'purged' | 'unrecognised';
type ShareOfHeld = keyof typeof ALWAYS_ALLOWED;
type Percent = ShareOfHeld | 'groupRemovedPercent' | 'rejectedPercent';

/**
 * Every limit that the plan breaks, in the order of the domain rules' table; none = it may be applied. A value
 * that equals its limit is allowed. Before the first applied run (`lastRows` null) the feed holds nothing that a
 * percentage could be taken of, so only counts, groups and rejected rows hold that run. The sums over time hold only
 * a plan that adds to them: what was lost before, a person has approved or the limits allowed.
 */
export function guard(figures: PlanFigures, limits: Limits): Breach[] {
  const { held, rows, lastRows, membershipsLost, lost24h, lost7d } = figures;
  const emptied = figures.emptiedGroups.filter((of) => of.members >= EMPTIED_GROUP_MEMBERS);
  const count = (limit: Count, value: number, group: string | null = null) => counted(limits, limit, value, group);
  const share = (limit: Percent, part: number, whole: number, group: string | null = null) =>
    shared(limits, limit, part, whole, group);
  const ofHeld = (limit: ShareOfHeld, part: number, whole: number) =>
    lastRows === null || part <= ALWAYS_ALLOWED[limit] ? [] : share(limit, part, whole);

  return [
    ofHeld('membershipsLostPercent', membershipsLost, held.memberships),
    ofHeld('membershipsRemovedPercent', figures.membershipsRemoved, held.memberships),
    count('membershipsRemoved', figures.membershipsRemoved),
    ofHeld('membershipsAddedPercent', figures.membershipsAdded, held.memberships),
    count('emptiedGroups', emptied.length, emptied.length === 1 ? (emptied[0]?.group ?? null) : null),
    ...figures.groups
      .filter((of) => of.members >= REMOVED_GROUP_MEMBERS)
      .map((of) => share('groupRemovedPercent', of.removed, of.members, of.group)),
    ofHeld('deactivatedPercent', figures.deactivated, held.learners),
    ofHeld('createdPercent', figures.created, held.learners),
    ofHeld('identityChangedPercent', figures.identityChanged, held.learners),
    count('purged', figures.purged),
    lastRows === null || figures.delta ? [] : rowsAgainst(lastRows, rows.read, limits),
    share('rejectedPercent', rows.rejected, rows.read),
    figures.removals ? count('unrecognised', rows.unrecognised) : [],
    membershipsLost === 0 ? [] : ofHeld('removed24hPercent', membershipsLost + lost24h, held.memberships + lost24h),
    membershipsLost === 0 ? [] : ofHeld('removed7dPercent', membershipsLost + lost7d, held.memberships + lost7d),
    ...guardAllFeeds(figures, limits),
  ].flat();
}

/** The limit across feeds alone: others may have taken something away since a plan was counted. */
export function guardAllFeeds(
  { membershipsLost, lastRows, allFeeds }: Pick<PlanFigures, 'membershipsLost' | 'lastRows' | 'allFeeds'>,
  limits: Limits,
): Breach[] {
  if (membershipsLost === 0 || lastRows === null || !allFeeds) return [];
  const lost = membershipsLost + allFeeds.lost24h;
  if (lost <= ALWAYS_ALLOWED.allFeeds24hPercent) return [];
  return shared(limits, 'allFeeds24hPercent', lost, allFeeds.memberships + allFeeds.lost24h, null);
}

function counted(limits: Limits, limit: Count, value: number, group: string | null): Breach[] {
  const max = limits[limit];
  return max !== null && value > max ? [{ limit, value, max, group }] : [];
}

function shared(limits: Limits, limit: Percent, part: number, whole: number, group: string | null): Breach[] {
  const max = limits[limit];
  const value = percent(part, whole);
  return max !== null && value > max ? [{ limit, value: above(max, value), max, group }] : [];
}

function rowsAgainst(lastRows: number, read: number, { rowsPercent }: Limits): Breach[] {
  if (rowsPercent === null || read === lastRows) return [];
  const { min, max } = rowsPercent;
  const value = percent(read, lastRows);
  if (value > max) return [{ limit: 'rowsPercent', value: above(max, value), max, min, group: null }];
  if (value < min) return [{ limit: 'rowsPercent', value: -above(-min, -value), max, min, group: null }];
  return [];
}

/** Something of nothing counts as if it were of one: finite, and far above any limit. */
function percent(part: number, whole: number): number {
  return (100 * part) / Math.max(whole, 1);
}

/** To one decimal; upwards where the nearest would not be seen to lie above `limit`. */
function above(limit: number, value: number): number {
  const nearest = Math.round(value * 10) / 10;
  return nearest > limit ? nearest : Math.ceil(value * 10) / 10;
}

/** One sentence for people. `feed` is the name of the feed whose plan it is. */
export function explain(breach: Breach, feed?: string): string {
  const fact = FACTS[breach.limit](breach.value, feed === undefined ? 'the feed' : `feed ${feed}`, breach.group);
  return `${fact}; ${limitOf(breach)}.`;
}

function limitOf({ limit, value, max, min }: Breach): string {
  if (min !== undefined) return value < min ? `the least allowed is ${min} %` : `the limit is ${max} %`;
  return `the limit is ${max}${limit.endsWith('Percent') ? ' %' : ''}`;
}

const FACTS: Record<keyof Limits, (value: number, feed: string, group: string | null) => string> = {
  membershipsLostPercent: (value, feed) => `${value} % of the memberships that ${feed} holds would be lost`,
  membershipsRemovedPercent: (value, feed) =>
    `${value} % of the memberships that ${feed} holds would be removed, moves included`,
  membershipsRemoved: (value) => `${number(value, 'membership')} would be removed, moves included`,
  membershipsAddedPercent: (value, feed) =>
    `Memberships would be added, as many as ${value} % of those that ${feed} holds`,
  emptiedGroups: (value, _feed, group) =>
    group === null
      ? `${number(value, 'group')} of ${EMPTIED_GROUP_MEMBERS} members or more would be emptied`
      : `Group ${group}, of ${EMPTIED_GROUP_MEMBERS} members or more, would be emptied`,
  groupRemovedPercent: (value, _feed, group) => `Group ${group} would lose ${value} % of its members`,
  deactivatedPercent: (value, feed) => `${value} % of the learners that ${feed} holds would be set inactive`,
  createdPercent: (value, feed) => `Learners would be created, as many as ${value} % of those that ${feed} holds`,
  identityChangedPercent: (value, feed) =>
    `The e-mail or name of ${value} % of the learners that ${feed} holds would change`,
  purged: (value) => `The results of ${number(value, 'learner')} would be deleted`,
  rowsPercent: (value, feed) => `The number of rows is ${value} % of that of the last applied run of ${feed}`,
  rejectedPercent: (value) => `${value} % of the rows are rejected`,
  unrecognised: (value) =>
    `No learner is recognised in ${number(value, 'rejected row')}, and the plan would remove something`,
  removed24hPercent: (value, feed) =>
    `${value} % of the memberships that ${feed} holds would be lost within 24 hours, its other runs included`,
  removed7dPercent: (value, feed) =>
    `${value} % of the memberships that ${feed} holds would be lost within 7 days, its other runs included`,
  allFeeds24hPercent: (value) =>
    `${value} % of the memberships that all feeds hold would be lost within 24 hours, all runs of all feeds together`,
};

function number(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
