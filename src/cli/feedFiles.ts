import { readFeedFile } from '../settings/feed.ts';
import { readFeedDoc, saveFeed } from '../store/feeds.ts';
import type { FeedDoc } from '../store/models.ts';
import type { Store } from '../store/store.ts';
import { settingsFiles } from './settingsFiles.ts';

/** A feed whose file is there no more is one of the database from now on: it can be changed and deleted. */
export async function letGoOfFile(store: Store, directory: string, { _id, origin }: FeedDoc): Promise<FeedDoc> {
  const isThere = [...settingsFiles(directory)].some(({ path, text }) => readFeedFile(text, path).name === _id);
  if (origin === 'file' && !isThere) await store.feeds.updateOne({ _id, origin }, { $set: { origin: 'database' } });
  return (await readFeedDoc(store, _id)) as FeedDoc;
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
