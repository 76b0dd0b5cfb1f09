import { readFeedFile } from '../settings/feed.ts';
import { readFeedDoc, saveFeed } from '../store/feeds.ts';
import type { Store } from '../store/store.ts';
import { settingsFiles } from './settingsFiles.ts';

/** Applies the feeds that lie as files in the directory. They are read-only elsewhere. @throws {UsageError} for a file that is no feed. */
export async function applyFeedFiles(store: Store, directory: string): Promise<void> {
  for (const { path, text } of settingsFiles(directory)) {
    const settings = readFeedFile(text, path);
    const stored = await readFeedDoc(store, settings.name);
    if (stored?.text === text && stored.origin === 'file') continue;
    await saveFeed(store, text, settings, 'file');
  }
}
