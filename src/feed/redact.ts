import { createWriteStream } from 'node:fs';
import { chmod, chown, rename, rm, stat, utimes } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Rejection, RowClaim } from '../domain/claim.ts';
import type { FeedSettings } from '../settings/feed.ts';
import { encode, markOf } from './decode.ts';
import { type FeedReader, openFeed } from './reader.ts';
import type { SourceFile } from './sources/file.ts';

/** Which of these rows are somebody's, by their numbers. */
export type Theirs = (rows: readonly (RowClaim | Rejection)[]) => Promise<ReadonlySet<number>>;

/** How many rows of the feed file are somebody's. Throws what the reader throws. */
export async function countTheirs(file: SourceFile, settings: FeedSettings, theirs: Theirs): Promise<number> {
  let found = 0;
  for await (const { taken } of others(await openFeed(file, settings), theirs)) found += taken;
  return found;
}

/**
 * Writes the feed file anew without somebody's rows; header, other rows, encoding and line ends stay as they are. The
 * new file takes the old one's place when it is whole, its rights and its time: which file is the newest does not change.
 * Returns how many rows were taken out; with none the file stays untouched. Throws what the reader throws, also where the file changed meanwhile.
 */
export async function redactFeed(file: SourceFile, settings: FeedSettings, theirs: Theirs): Promise<number> {
  const reader = await openFeed(file, settings);
  const { encoding, lineEnd } = reader.layout;
  const behind = encode(lineEnd, encoding);
  const { mode, uid, gid, atime, mtime } = await stat(file.path);
  // A name that is no feed's file.
  const fresh = join(dirname(file.path), `.${basename(file.path)}.redacted`);
  let found = 0;
  async function* written(): AsyncGenerator<Uint8Array> {
    yield Buffer.concat([markOf(encoding), reader.rejectedLayout.header, behind]);
    for await (const { kept, taken } of others(reader, theirs)) {
      found += taken;
      for (const bytes of kept) yield Buffer.concat([bytes, behind]);
    }
  }
  try {
    await pipeline(written(), createWriteStream(fresh, { mode: 0o600 }));
    if (found === 0) return found;
    await chmod(fresh, mode);
    // Only the superuser may give files away.
    await chown(fresh, uid, gid).catch(() => undefined);
    await utimes(fresh, atime, mtime);
    await rename(fresh, file.path);
  } finally {
    await rm(fresh, { force: true });
  }
  return found;
}

/** The rows of all others in the file's own bytes, chunk by chunk, and how many were left out. */
async function* others(reader: FeedReader, theirs: Theirs): AsyncGenerator<{ kept: Uint8Array[]; taken: number }> {
  for await (const { rows, firstRow } of reader.rows()) {
    const all = Array.from({ length: rows.count }, (_, at) => at);
    const out = await theirs(reader.parse(rows, all, firstRow));
    yield {
      kept: all.filter((at) => !out.has(firstRow + at)).map((at) => reader.raw(rows, at)),
      taken: out.size,
    };
  }
}
