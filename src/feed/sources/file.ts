import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { type FileHandle, mkdir, mkdtemp, open, readdir, rm, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { UsageError } from '../../domain/errors.ts';
import type { FeedSource } from '../../settings/feed.ts';
import { SourceChanged, SourceUnavailable } from '../errors.ts';

/** A file as it was when it was found; every reading of it proves that it still is that file. */
export interface SourceFile {
  readonly path: string;
  /** For people: the file's name, or `standard input`. */
  readonly name: string;
  readonly bytes: number;
  readonly stamp: Stamp;
  /** Removes what was spooled; nothing for a file that is not ours. */
  dispose(): Promise<void>;
}

interface Stamp {
  readonly size: bigint;
  readonly mtimeNs: bigint;
  readonly ino: bigint;
}

/** Bytes of one read where the reader has no wish of its own. */
export const CHUNK = 1024 * 1024;

/** Throws SourceUnavailable where there is no such file, or none that can be read. */
export async function sourceFile(path: string): Promise<SourceFile> {
  const full = resolve(path);
  const found = await stat(full, { bigint: true }).catch((error: NodeJS.ErrnoException) => {
    throw unavailable(full, error);
  });
  if (!found.isFile()) throw new SourceUnavailable(`${full} is not a file. Nothing was changed. Name a CSV file.`);
  return {
    path: full,
    name: basename(full),
    bytes: Number(found.size),
    stamp: { size: found.size, mtimeNs: found.mtimeNs, ino: found.ino },
    dispose: () => Promise.resolve(),
  };
}

/** Writes a stream (standard input, an upload) to a file of its own below `directory`, since it is read more than once. */
export async function spool(
  stream: NodeJS.ReadableStream,
  directory: string,
  name = 'standard input',
): Promise<SourceFile> {
  await mkdir(directory, { recursive: true });
  const folder = await mkdtemp(join(directory, 'spool-'));
  const dispose = () => rm(folder, { recursive: true, force: true });
  try {
    const path = join(folder, 'feed');
    await pipeline(stream, createWriteStream(path, { mode: 0o600 }));
    return { ...(await sourceFile(path)), name, dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/**
 * The file of a feed's own source; relative paths are below `base`. A directory stands for its newest file that fits; one
 * whose name begins with a dot fits a pattern that does so as well.
 */
export async function locate(source: FeedSource, base: string): Promise<SourceFile> {
  if (source.kind === 'file') return sourceFile(resolve(base, source.path));
  if (source.kind === 'directory') return newest(resolve(base, source.path), source.pattern);
  throw new UsageError(
    'This feed has no source of its own. Nothing was run. Hand it a file: muster import FILE --feed NAME.',
  );
}

async function newest(directory: string, pattern: string): Promise<SourceFile> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    throw unavailable(directory, error);
  });
  let best: SourceFile | undefined;
  for (const name of names.filter((name) => isHidden(name) === isHidden(pattern) && fits(pattern, name)).sort()) {
    const found = await sourceFile(join(directory, name)).catch(() => undefined);
    if (found && (!best || found.stamp.mtimeNs >= best.stamp.mtimeNs)) best = found;
  }
  if (best) return best;
  throw new SourceUnavailable(
    `${directory} holds no file like ${pattern}. Nothing was changed. Deliver one, or mend source.pattern of the feed.`,
  );
}

const isHidden = (name: string) => name.startsWith('.');

/** Does a name fit a pattern, in which `*` stands for any letters and `?` for one? Each `*` is gone back to once a letter, at most. */
export function fits(pattern: string, name: string): boolean {
  const [wanted, letters] = [Array.from(pattern), Array.from(name)];
  let at = 0;
  let star = -1;
  let taken = 0;
  for (let letter = 0; letter < letters.length; ) {
    if (wanted[at] === '*') {
      star = at;
      at += 1;
      taken = letter;
    } else if (wanted[at] === '?' || wanted[at] === letters[letter]) {
      at += 1;
      letter += 1;
    } else if (star >= 0) {
      at = star + 1;
      taken += 1;
      letter = taken;
    } else return false;
  }
  return wanted.slice(at).every((one) => one === '*');
}

/** Reads a source from its first byte to its last. */
export class Reading {
  readonly #handle: FileHandle;
  readonly #file: SourceFile;
  #read = 0;

  private constructor(handle: FileHandle, file: SourceFile) {
    this.#handle = handle;
    this.#file = file;
  }

  static async of(file: SourceFile): Promise<Reading> {
    const handle = await open(file.path, 'r').catch((error: NodeJS.ErrnoException) => {
      throw unavailable(file.path, error);
    });
    return new Reading(handle, file);
  }

  /** Bytes read into `target`; fewer than it holds only at the end of the file. */
  async into(target: Uint8Array): Promise<number> {
    let filled = 0;
    while (filled < target.length) {
      const { bytesRead } = await this.#handle.read(target, filled, target.length - filled, this.#read);
      if (bytesRead === 0) break;
      filled += bytesRead;
      this.#read += bytesRead;
    }
    return filled;
  }

  /** Throws SourceChanged unless the file at the path is what it was, and all of it was read where that was meant. */
  async verify(whole: boolean): Promise<void> {
    const { path, bytes, stamp } = this.#file;
    const open = await this.#handle.stat({ bigint: true });
    const there = await stat(path, { bigint: true }).catch(() => undefined);
    const same = (now: Stamp | undefined) =>
      now !== undefined && now.size === stamp.size && now.mtimeNs === stamp.mtimeNs && now.ino === stamp.ino;
    if (!same(open) || !same(there) || (whole && this.#read !== bytes)) throw new SourceChanged(path);
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

/** The first bytes of a file. */
export async function head(file: SourceFile, bytes: number): Promise<Uint8Array> {
  const reading = await Reading.of(file);
  try {
    const buffer = new Uint8Array(Math.min(bytes, file.bytes));
    const filled = await reading.into(buffer);
    await reading.verify(false);
    return buffer.subarray(0, filled);
  } finally {
    await reading.close();
  }
}

/** Does the file end with a line break, in UTF-8 or UTF-16? */
export async function endsWithLineBreak({ path, bytes }: SourceFile): Promise<boolean> {
  const handle = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(2), 0, 2, Math.max(0, bytes - 2));
    const [before, last] = bytesRead === 2 ? buffer : [0, buffer[0]];
    const isBreak = (byte: number | undefined) => byte === 0x0a || byte === 0x0d;
    return isBreak(last) || (last === 0 && isBreak(before));
  } finally {
    await handle.close();
  }
}

/** SHA-256 of the file's bytes in hex, the next chunk being read while one is hashed. */
export async function sha256Of(file: SourceFile): Promise<string> {
  const hash = createHash('sha256');
  const reading = await Reading.of(file);
  try {
    let current = new Uint8Array(CHUNK);
    let following = new Uint8Array(CHUNK);
    let filled = await reading.into(current);
    while (filled > 0) {
      const next = reading.into(following);
      hash.update(filled === CHUNK ? current : current.subarray(0, filled));
      [current, following] = [following, current];
      filled = await next;
    }
    await reading.verify(true);
    return hash.digest('hex');
  } finally {
    await reading.close();
  }
}

function unavailable(path: string, error: NodeJS.ErrnoException): SourceUnavailable {
  const why =
    error.code === 'ENOENT'
      ? ['does not exist', 'Look at the path, or wait until the file has been delivered']
      : error.code === 'EACCES' || error.code === 'EPERM'
        ? ['may not be read by this user', 'Give the user that runs Muster the right to read it']
        : [`cannot be read (${error.code ?? error.message})`, 'Look at the disk or mount that holds it'];
  return new SourceUnavailable(`${path} ${why[0]}. Nothing was changed. ${why[1]}.`);
}
