import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readFeedFile } from '../settings/feed.ts';
import { readFeedDoc, saveFeed } from '../store/feeds.ts';
import type { Store } from '../store/store.ts';

/**
 * Applies the feeds that lie as files in the directory; examples (`*.example.yaml`) are left out. They are read-only
 * elsewhere. @throws {UsageError} for a file that is no feed.
 */
export async function applyFeedFiles(store: Store, directory: string): Promise<void> {
  if (!existsSync(directory)) return;
  const names = readdirSync(directory).filter(
    (name) => /\.(ya?ml|json)$/.test(name) && !/\.example\.[a-z]+$/.test(name),
  );
  for (const name of names.sort()) {
    const path = join(directory, name);
    const text = readFileSync(path, 'utf8');
    const settings = readFeedFile(text, path);
    const stored = await readFeedDoc(store, settings.name);
    if (stored?.text === text && stored.origin === 'file') continue;
    await saveFeed(store, text, settings, 'file');
  }
}
