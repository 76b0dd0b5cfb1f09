import type { ExternalId, GroupId, LearnerId, SourceName } from './ids.ts';

/** `[from, until)`; a side left out is open. `{}` is always. */
export interface Window {
  readonly from?: Date;
  readonly until?: Date;
}

/** One source that holds a membership, within one window. A source with two separate windows stands there twice. */
export interface Source extends Window {
  readonly source: SourceName;
}

/** Learner ∈ group, held by one or more sources. */
export interface Membership {
  readonly group: GroupId;
  readonly sources: readonly Source[];
}

export type LearnerStatus = 'active' | 'inactive';

/** What a person is called; all that a feed may say of a learner besides groups. An empty text means 'none'. */
export interface Identity {
  readonly externalId?: ExternalId;
  readonly email?: string;
  readonly firstName?: string;
  readonly lastName?: string;
  readonly status: LearnerStatus;
  readonly attributes: Readonly<Record<string, string>>;
}

/** A feed's hold on a learner: it names (or named) this person. */
export interface FeedHold {
  readonly feed: SourceName;
  /** The feed created the learner, so it may set the learner inactive (R20). */
  readonly created?: boolean;
  /** Since when the feed no longer names the learner, while grace days run (R20). */
  readonly leftAt?: Date;
}

export interface Learner extends Identity {
  readonly id: LearnerId;
  /** Goes up by one with every write; the fence against late writers. */
  readonly revision: number;
  readonly memberships: readonly Membership[];
  readonly holds: readonly FeedHold[];
  /** Feeds that must look at this learner again in their next run, though its rows are unchanged (R21). */
  readonly lookAgain?: readonly { readonly feed: SourceName; readonly at: Date }[];
}
