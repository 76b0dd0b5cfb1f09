import { isWorking } from '../../domain/run.ts';
import type { FeedSettings } from '../../settings/feed.ts';
import { settingsOf } from '../../store/feeds.ts';
import type { FeedDoc, RunDoc } from '../../store/models.ts';
import { latestRuns } from '../../store/runs.ts';
import type { Store } from '../../store/store.ts';

export interface FeedView {
  readonly name: string;
  readonly origin: FeedDoc['origin'];
  readonly mode: FeedSettings['mode'];
  readonly source: FeedSettings['source'];
  readonly schedule: FeedSettings['schedule'];
  /** What the feed holds. */
  readonly held: FeedDoc['held'];
  /** The last run that was applied to the end. */
  readonly applied: { readonly run: string; readonly at: Date; readonly rows: number } | null;
  readonly lastRun: { readonly run: string; readonly state: RunDoc['state']; readonly at: Date } | null;
  readonly working: boolean;
}

export async function viewFeed(store: Store, doc: FeedDoc): Promise<FeedView> {
  const settings = settingsOf(doc);
  const [last] = await latestRuns(store, { feed: doc._id, limit: 1 });
  const { applied } = doc;
  return {
    name: doc._id,
    origin: doc.origin,
    mode: settings.mode,
    source: settings.source,
    schedule: settings.schedule,
    held: doc.held,
    applied: applied ? { run: applied.run, at: applied.at, rows: applied.rows } : null,
    lastRun: last ? { run: last._id, state: last.state, at: last.createdAt } : null,
    working: last !== undefined && !last.preview && isWorking(last.state),
  };
}

export async function viewFeeds(store: Store): Promise<FeedView[]> {
  const docs = await store.feeds
    .find({ origin: { $ne: 'one-off' } })
    .sort({ _id: 1 })
    .toArray();
  return Promise.all(docs.map((doc) => viewFeed(store, doc)));
}
