import type { ExternalId, GroupId } from './ids.ts';
import type { Window } from './learner.ts';

/** What a feed says of one learner: the union of all of the learner's rows (R18). */
export interface Claim {
  readonly externalId: ExternalId;
  /** Row numbers of the file, header = 1, ascending. */
  readonly rows: readonly number[];
  /** Absent: the feed does not map it, so it is not the feed's to change. Empty text: the feed says there is none. */
  readonly email?: string;
  readonly firstName?: string;
  readonly lastName?: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** `left`: the feed names the learner as a leaver (R20). */
  readonly status: 'active' | 'left';
  /** Groups of a full feed, or those of `add` rows of a delta feed; one entry a group. */
  readonly groups: readonly ClaimedGroup[];
  /** Groups of `remove` rows of a delta feed. */
  readonly removed: readonly GroupId[];
}

export interface ClaimedGroup {
  readonly group: GroupId;
  /** Not empty, sorted, disjoint. */
  readonly windows: readonly Window[];
}
