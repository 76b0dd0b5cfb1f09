import { existsSync } from 'node:fs';
import { readFeedFile } from '../settings/feed.ts';
import { readFeedDoc, saveFeed } from '../store/feeds.ts';
import type { FeedDoc } from '../store/models.ts';
import type { Store } from '../store/store.ts';
import { settingsFiles } from './settingsFiles.ts';

/**
 * A feed whose file was taken out of the directory is one of the database: it can be changed and deleted. Where there is
 * no such directory nobody can say.
 */
export function withoutItsFile(directory: string, feed: FeedDoc): FeedDoc {
  if (feed.origin !== 'file' || !existsSync(directory)) return feed;
  const isThere = [...settingsFiles(directory)].some(({ path, text }) => readFeedFile(text, path).name === feed._id);
  return isThere ? feed : { ...feed, origin: 'database' };
}

/** Applies the feeds that lie as files in the directory. They are read-only elsewhere. @throws {UsageError} for a file that is no feed. */
export async function applyFeedFiles(store: Store, directory: string): Promise<void> {
  for (const { path, text } of settingsFiles(directory)) {
    const settings = readFeedFile(text, path);
    const stored = await readFeedDoc(store, settings.name);
    if (stored?.text === text && stored.origin === 'file') continue;
    await saveFeed(store, text, settings, 'file');
  }
}
