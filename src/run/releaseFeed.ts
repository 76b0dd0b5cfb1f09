import { UsageError } from '../domain/errors.ts';
import { readFeedDoc } from '../store/feeds.ts';
import type { FeedDoc } from '../store/models.ts';
import type { Services } from '../store/services.ts';

/** Lets a feed in quarantine run by itself again, from its next due time on. @throws {UsageError} where it is in none. */
export async function releaseFeed(
  { store, clock, log }: Services,
  { _id: feed }: FeedDoc,
  by: string,
): Promise<FeedDoc> {
  const { modifiedCount } = await store.feeds.updateOne(
    { _id: feed, quarantined: { $exists: true } },
    { $set: { troubles: 0, released: { at: clock.now(), by } }, $unset: { quarantined: '' } },
  );
  if (modifiedCount === 0) {
    throw new UsageError(
      `Feed ${feed} is not in quarantine; nothing was changed. \`muster feeds list\` shows which are.`,
    );
  }
  log.info({ feed }, 'feed released');
  return (await readFeedDoc(store, feed)) as FeedDoc;
}
