import { isWorking } from '../../domain/run.ts';
import { nextDueTime } from '../../settings/dueTimes.ts';
import type { FeedSettings } from '../../settings/feed.ts';
import { redacted } from '../../settings/redact.ts';
import { settingsOf } from '../../store/feeds.ts';
import type { FeedDoc, RunDoc } from '../../store/models.ts';
import { latestRuns } from '../../store/runs.ts';
import type { Services } from '../../store/services.ts';

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
  /** The last due time that was made a run of. */
  readonly lastDue: { readonly at: Date; readonly run: string; readonly state: RunDoc['state'] } | null;
  /** When it runs by itself again; null = only when told to. */
  readonly nextDue: Date | null;
  /** Since when it runs no more by itself, though it has a schedule, and the run after which that was so. */
  readonly quarantined: { readonly at: Date; readonly run: string } | null;
}

/** What a view of a feed is made from. */
type Sources = Pick<Services, 'store' | 'clock'>;

export async function viewFeed({ store, clock }: Sources, doc: FeedDoc): Promise<FeedView> {
  const settings = settingsOf(doc);
  const [last] = await latestRuns(store, { feed: doc._id, limit: 1 });
  const [due] = await store.runs
    .find({ feed: doc._id, due: { $exists: true } })
    .sort({ due: -1 })
    .limit(1)
    .toArray();
  const { applied, quarantined } = doc;
  const { cron, timeZone } = settings.schedule;
  const next = cron === undefined || quarantined ? undefined : nextDueTime({ cron, timeZone }, clock.now());
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
    lastDue: due?.due ? { at: due.due, run: due._id, state: due.state } : null,
    nextDue: next ?? null,
    quarantined: quarantined ?? null,
  };
}

/** A feed with its text, in which secrets are hidden. */
export async function viewFeedText(sources: Sources, doc: FeedDoc): Promise<FeedView & { readonly text: string }> {
  return { ...(await viewFeed(sources, doc)), text: redacted(doc.text) };
}

export async function viewFeeds(sources: Sources): Promise<FeedView[]> {
  const docs = await sources.store.feeds
    .find({ origin: { $ne: 'one-off' } })
    .sort({ _id: 1 })
    .toArray();
  return Promise.all(docs.map((doc) => viewFeed(sources, doc)));
}
