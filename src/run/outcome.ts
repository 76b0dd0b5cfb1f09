import type { SubscriptionEvent } from '../domain/change.ts';
import type { Breach } from '../domain/guard.ts';
import type { GroupId } from '../domain/ids.ts';
import type { PlanPart } from '../domain/planPart.ts';
import type { Applied } from '../store/models.ts';
import type { Release } from './emails.ts';
import type { NewGroup } from './groupsToMake.ts';

/** One kind of problem of a run, with the first row that has it. */
export interface Problem {
  readonly row: number | null;
  readonly code: string;
  readonly message: string;
  readonly count: number;
}

/** What planning found: figures of the report, and what applying and finishing need. Stored with the run. */
export interface Outcome {
  readonly noChange: boolean;
  readonly rows: { read: number; accepted: number; rejected: number; repeated: number };
  readonly learners: { created: number; updated: number; reactivated: number; deactivated: number; unchanged: number };
  readonly groups: { created: number };
  /** `changed`: they stay, within other windows. */
  readonly memberships: { added: number; removed: number; changed: number; unchanged: number };
  /** Preview: what would happen. Otherwise summed up from what did happen, when the run ends. */
  readonly subscriptions?: SubscriptionCounts;
  readonly guard: { held: boolean; breaches: readonly Breach[] };
  readonly protected: { learners: number; groups: number };
  readonly problems: readonly Problem[];
  /** Memberships lost, for the limits that sum over time. */
  readonly lost: number;
  /** What the feed holds afterwards: learners in all, memberships as a difference. Absent for an undo, which counts as it is applied. */
  readonly held: { learners: number; memberships: number };
  /** Stored learners whom the file names, those included of whom it says that they have left. */
  readonly named?: number;
  /** Of a delta feed: operations that older runs had set aside, of learners whom its rows name. */
  readonly supersedes?: readonly string[];
  readonly newGroups: readonly (NewGroup & { id: GroupId })[];
  readonly releases: readonly Release[];
  /** Revision of the feed that the plan was made from (R30). */
  readonly feedRevision: number;
  /** What `feeds.applied` becomes; absent for one-off and delta feeds' tables. */
  readonly applied: Omit<Applied, 'run' | 'at'>;
  /** Where a part of a held plan was approved: which, with how many changes, and how many were left out, wholly or in part. */
  readonly approved?: { readonly part: PlanPart['kind']; readonly changes: number; readonly takenOut: number };
  /** Of an undo: groups that the undone run had made, to be taken away where they are empty then. */
  readonly emptied?: readonly GroupId[];
  /** When the feed's file was read: marks to look again set before then have been seen to. */
  readonly readAt: Date;
}

export interface SubscriptionCounts {
  subscribed: number;
  reactivated: number;
  expired: number;
  purged: number;
  kept: number;
}

export const NO_SUBSCRIPTIONS: SubscriptionCounts = { subscribed: 0, reactivated: 0, expired: 0, purged: 0, kept: 0 };

/** Counts one event into the report's figures; events that the report does not count are left out. */
export function countEvent(counts: SubscriptionCounts, kind: SubscriptionEvent['kind'], by = 1): void {
  if (kind in counts) counts[kind as keyof SubscriptionCounts] += by;
}

/** Marks to look again set less than this before reading began stay for the next run, ms: a change by hand may have been under way, and clocks of several machines differ. */
const LOOK_AGAIN_MARGIN = 60_000;

/** Changes by hand up to this moment were there when the run was planned. */
export function seenBy({ readAt }: Pick<Outcome, 'readAt'>): Date {
  return new Date(readAt.getTime() - LOOK_AGAIN_MARGIN);
}
