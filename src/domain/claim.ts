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

/** What one row says, before its groups are looked up and the rows of a learner are united. */
export interface RowClaim {
  /** Row number of the file, header = 1, blank rows counted. */
  readonly row: number;
  /** Absent only where the feed matches by e-mail. */
  readonly externalId?: ExternalId;
  readonly email?: string;
  readonly firstName?: string;
  readonly lastName?: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly status: 'active' | 'left';
  /** `add` in a full feed. */
  readonly action: 'add' | 'remove';
  readonly groups: readonly NamedGroup[];
  readonly window: Window;
}

/** A group as a row names it. */
export interface NamedGroup {
  readonly externalId: ExternalId;
  /** For `unknownGroup: create`. */
  readonly name?: string;
  readonly parent?: ExternalId;
}

/** A row that cannot be used, and whom it names all the same (they are protected, R15). */
export interface Rejection {
  readonly row: number;
  /** Stable, kebab-case, listed in docs/errors.md: `unknown-group`, `bad-date`, `too-few-columns`, … */
  readonly code: string;
  /** States the fact with column and value, the consequence and the remedy. */
  readonly message: string;
  readonly externalId?: ExternalId;
  readonly email?: string;
  readonly groups: readonly ExternalId[];
}
