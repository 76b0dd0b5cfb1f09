import type { FeedPolicy } from '../domain/policy.ts';
import { type FeedSettings, FeedShape } from './feed-schema.ts';
import { type FileKind, readSettings, readSettingsFile } from './file.ts';
import { withPreset } from './presets.ts';

export type { FeedSettings, FeedSource } from './feed-schema.ts';

const FEED: FileKind<typeof FeedShape> = {
  shape: FeedShape,
  noun: 'feed',
  hidden: ['sftp', 'https', 's3'],
  prepare: withPreset,
};

/** Settings from a value that is no file (the API, the database). Throws one UsageError with every problem. */
export function readFeed(value: unknown): FeedSettings {
  return readSettings(FEED, value);
}

/** Reads a feed file (YAML; JSON is YAML too). Throws what `readSettingsFile` throws. */
export function readFeedFile(text: string, fileName: string): FeedSettings {
  return readSettingsFile(FEED, text, fileName);
}

/** The part of the settings that the rules of planning need. */
export function policyOf(settings: FeedSettings): FeedPolicy {
  const { name, mode, unknownGroup, unknownLearner, match, leaver, moved, authority, guard } = settings;
  return { feed: name, mode, unknownGroup, unknownLearner, match, leaver, moved, authority, limits: guard };
}
