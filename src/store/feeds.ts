import type { RemovalOption } from '../domain/change.ts';
import { ChangedMeanwhile } from '../domain/errors.ts';
import { MANUAL, type SourceName } from '../domain/ids.ts';
import type { FeedSettings } from '../settings/feed.ts';
import { policyOf, readFeedFile } from '../settings/feed.ts';
import type { FeedDoc } from './models.ts';
import { type Session, type Store, within } from './store.ts';

/** What the end of a window does to the courses, by source (R5): the feed's leaver option, `expire` for manual ones. */
export async function readWindowOption(
  store: Store,
  session?: Session,
): Promise<(source: SourceName) => RemovalOption> {
  const docs = await store.feeds.find({}, { projection: { leaverCourses: 1 }, ...within(session) }).toArray();
  const options = new Map(docs.map((doc) => [doc._id, doc.leaverCourses]));
  return (source) => (source === MANUAL ? 'expire' : (options.get(source) ?? 'expire'));
}

export function readFeedDoc(store: Store, name: SourceName): Promise<FeedDoc | null> {
  return store.feeds.findOne({ _id: name });
}

/** The settings as the feed's text says them. Throws what `readFeedFile` throws. */
export function settingsOf(doc: Pick<FeedDoc, '_id' | 'text'>): FeedSettings {
  return readFeedFile(doc.text, `feed ${doc._id}`);
}

/** Names a schedule: with another name it has missed nothing yet (R26). */
export function timesOf({ cron, timeZone }: FeedSettings['schedule']): string {
  return `${cron} ${timeZone}`;
}

/**
 * Creates the feed or changes its settings; what it holds stays. True where it is new. `asRead`: the text that the
 * change stands on. @throws {ChangedMeanwhile} where it is another by now.
 */
export async function saveFeed(
  store: Store,
  text: string,
  settings: FeedSettings,
  origin: FeedDoc['origin'],
  asRead?: string,
): Promise<boolean> {
  const { feed, leaver } = policyOf(settings);
  const { matchedCount, upsertedCount } = await store.feeds.updateOne(
    { _id: feed, ...(asRead !== undefined && { text: asRead }) },
    {
      $set: { text, origin, leaverCourses: leaver.courses, schedule: settings.schedule },
      $setOnInsert: { held: { learners: 0, memberships: 0 }, revision: 0 },
    },
    { upsert: asRead === undefined },
  );
  if (matchedCount + upsertedCount === 0) throw new ChangedMeanwhile('feed');
  const as = timesOf(settings.schedule);
  // A schedule counts from now on, so that its first times are caught up also where no scheduler is up yet.
  await store.feeds.updateOne({ _id: feed, 'scheduled.as': { $ne: as } }, [
    { $set: { scheduled: { as, since: '$$NOW' } } },
  ]);
  return upsertedCount === 1;
}
