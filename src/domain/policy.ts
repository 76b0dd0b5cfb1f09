import type { RemovalOption } from './change.ts';
import type { SourceName } from './ids.ts';

/** Limits of the guard by name (domain rules, 'Guard'). `null` = switched off. */
export interface Limits {
  readonly membershipsLostPercent: number | null;
  readonly membershipsRemovedPercent: number | null;
  readonly membershipsRemoved: number | null;
  readonly membershipsAddedPercent: number | null;
  readonly emptiedGroups: number | null;
  readonly groupRemovedPercent: number | null;
  readonly deactivatedPercent: number | null;
  readonly createdPercent: number | null;
  readonly identityChangedPercent: number | null;
  readonly purged: number | null;
  readonly rowsPercent: { readonly min: number; readonly max: number } | null;
  readonly rejectedPercent: number | null;
  readonly unrecognised: number | null;
  readonly removed24hPercent: number | null;
  readonly removed7dPercent: number | null;
  readonly allFeeds24hPercent: number | null;
}

/** What a feed decides about planning: the part of its settings that the rules need. */
export interface FeedPolicy {
  readonly feed: SourceName;
  readonly mode: 'full' | 'delta';
  readonly unknownGroup: 'reject' | 'create';
  readonly unknownLearner: 'create' | 'reject';
  readonly match: readonly ('externalId' | 'email')[];
  readonly leaver: { readonly courses: RemovalOption; readonly graceDays: number };
  readonly moved: { readonly courses: RemovalOption };
  readonly authority: 'feed' | 'shared';
  readonly limits: Limits;
}
