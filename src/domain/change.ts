import type { CourseId, GroupId, LearnerId, SourceName } from './ids.ts';
import type { FeedHold, Identity, Window } from './learner.ts';

/** What a removal does to the courses (R6–R8). */
export type RemovalOption = 'keep' | 'expire' | 'purge';

/** The windows in which one source holds one membership, before and after. `[]` = does not hold it. */
export interface MembershipChange {
  readonly group: GroupId;
  readonly source: SourceName;
  readonly before: readonly Window[];
  readonly after: readonly Window[];
  /** What to do to the courses where `after` is empty. */
  readonly courses?: RemovalOption;
}

/** A field of the learner, before and after. Undefined = none. */
export interface FieldChange {
  /** `email`, `firstName`, `lastName`, `externalId`, `status`, or `attributes.NAME`. */
  readonly field: string;
  readonly before?: string;
  readonly after?: string;
}

/** One learner's facts before and after, all groups at once, so that a move is one change (R9). */
export interface Change {
  readonly learner: LearnerId;
  /** Revision of the learner when the change was planned; 0 = the change creates the learner. */
  readonly revision: number;
  /** The new learner, where the change creates one. */
  readonly create?: Identity;
  readonly fields: readonly FieldChange[];
  readonly memberships: readonly MembershipChange[];
  /** The feed's hold on the learner; null = none. */
  readonly hold?: { readonly before: FeedHold | null; readonly after: FeedHold | null };
  /** Rows of the feed that say so. */
  readonly rows?: readonly number[];
}

/** What settling did or would do to one learner's subscriptions. */
export type SubscriptionEvent =
  | { readonly kind: 'subscribed' | 'reactivated' | 'expired' | 'kept'; readonly course: CourseId }
  /** A direct grant made or taken back by hand. */
  | { readonly kind: 'granted' | 'revoked'; readonly course: CourseId }
  | { readonly kind: 'purged'; readonly course: CourseId; readonly held: boolean }
  /** A purge that was not done, since these groups (or a direct grant: none) still give the course (R8). */
  | { readonly kind: 'purge-skipped'; readonly course: CourseId; readonly through: readonly GroupId[] };
