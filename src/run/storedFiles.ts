import { readdir, realpath, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join, resolve, sep } from 'node:path';
import type { Rejection, RowClaim } from '../domain/claim.ts';
import type { Person } from '../domain/erase.ts';
import { MusterError } from '../domain/errors.ts';
import { needsFile } from '../domain/run.ts';
import { countTheirs, redactFeed, type Theirs } from '../feed/redact.ts';
import { type SourceFile, sha256Of, sourceFile } from '../feed/sources/file.ts';
import type { FeedSettings } from '../settings/feed.ts';
import { readFeedDoc, settingsOf } from '../store/feeds.ts';
import { learnerIdsByExternalId } from '../store/learners.ts';
import type { RunDoc } from '../store/models.ts';
import type { Store } from '../store/store.ts';
import { isTheirs } from './traces.ts';

/** Where files of feeds lie. */
export interface Places {
  /** Directory that relative paths of feeds' sources start from. */
  readonly base: string;
  /** MUSTER_DATA. */
  readonly data: string;
}

interface StoredFile {
  readonly path: string;
  readonly settings: FeedSettings;
  /** The run that may read it again. */
  readonly run?: RunDoc;
  /** A run of the feed reads it just now, or is about to. */
  readonly busy?: boolean;
}

/** How many stored files name the person. */
export async function countFiles(store: Store, places: Places, person: Person): Promise<number> {
  let count = 0;
  for await (const { path, settings } of storedFiles(store, places)) {
    if (
      await ignoringUnfit(
        async () => (await countTheirs(await sourceFile(path), settings, theirsIn(store, person))) > 0,
      )
    )
      count += 1;
  }
  return count;
}

/**
 * Takes the person's rows out of the feed files that Muster keeps on this host: uploads and copies that a run may read
 * again, and files below MUSTER_DATA that a feed reads. Copies that no run will read any more are removed. False: a file
 * was left out that is being read; it is for another time.
 */
export async function scrubFiles(store: Store, places: Places, person: Person): Promise<boolean> {
  let all = true;
  for await (const { path, settings, run, busy } of storedFiles(store, places)) {
    if (busy) {
      all = false;
      continue;
    }
    const file = await sourceFile(path).catch(() => undefined);
    if (!file) continue;
    if (run && !needsFile(run.state, run.preview)) {
      await rm(dirname(path), { recursive: true, force: true });
      continue;
    }
    const altered = await ignoringUnfit(async () => (await redactFeed(file, settings, theirsIn(store, person))) > 0);
    if (altered && run) await keepFitting(store, run, await sourceFile(path));
  }
  return all;
}

/** Runs that lie on another host with a file that may name somebody: it is for that host to look through. */
export function elsewhere(run: Pick<RunDoc, 'source' | 'state'>): boolean {
  const { temporary, host } = run.source;
  return run.state === 'held' && temporary === true && host !== undefined && host !== hostname();
}

async function* storedFiles(store: Store, places: Places): AsyncGenerator<StoredFile> {
  const data = await realpath(places.data).catch(() => resolve(places.data));
  // Runs name their copies as the directory was named.
  for (const path of await spooled(resolve(places.data))) {
    const run = await store.runs.findOne({ 'source.path': path }, { sort: { createdAt: -1 } });
    const feed = run?.feed ? await readFeedDoc(store, run.feed) : null;
    const text = run?.settings ?? feed?.text;
    const busy = run?.state === 'queued' || run?.state === 'reading';
    if (run && text !== undefined) yield { path, settings: settingsOf({ _id: run.feed ?? '', text }), run, busy };
  }
  for (const feed of await store.feeds.find().toArray()) {
    const settings = settingsOf(feed);
    for (const path of await filesOf(settings, places)) {
      const real = await realpath(path).catch(() => undefined);
      if (!real?.startsWith(data + sep)) continue;
      const reading = await store.runs.findOne({ feed: feed._id, state: { $in: ['queued', 'reading'] } });
      yield { path: real, settings, busy: reading !== null };
    }
  }
}

/** Copies of uploads (`uploads/PROCESS/spool-…/feed`) and of standard input (`spool/spool-…/feed`). */
async function spooled(data: string): Promise<string[]> {
  const found: string[] = [];
  const look = async (directory: string) => {
    for (const name of await names(directory)) if (name.startsWith('spool-')) found.push(join(directory, name, 'feed'));
  };
  await look(join(data, 'spool'));
  for (const owner of await names(join(data, 'uploads'))) await look(join(data, 'uploads', owner));
  return found;
}

async function filesOf({ source }: FeedSettings, { base }: Places): Promise<string[]> {
  if (source.kind === 'file') return [resolve(base, source.path)];
  if (source.kind !== 'directory') return [];
  const directory = resolve(base, source.path);
  return (await names(directory)).map((name) => join(directory, name));
}

function names(directory: string): Promise<string[]> {
  return readdir(directory).catch(() => []);
}

/** An address alone is not enough where another learner of that External ID is stored. */
function theirsIn(store: Store, person: Person): Theirs {
  return async (rows: readonly (RowClaim | Rejection)[]) => {
    const found = rows.filter((row) => isTheirs(person, row));
    const byMail = found.flatMap(({ externalId }) =>
      externalId !== undefined && !person.externalIds.includes(externalId) ? [externalId] : [],
    );
    const stored = byMail.length > 0 ? await learnerIdsByExternalId(store, byMail) : new Map();
    return new Set(found.filter(({ externalId }) => !externalId || !stored.has(externalId)).map(({ row }) => row));
  };
}

/** A file that is no feed file, or is being written, is not ours to alter. */
async function ignoringUnfit(work: () => Promise<boolean>): Promise<boolean> {
  return work().catch((error) => {
    if (error instanceof MusterError) return false;
    throw error;
  });
}

/** The plan is made anew only from the bytes that it was made from (R30): they are these from now on. */
async function keepFitting(store: Store, { _id }: RunDoc, file: SourceFile): Promise<void> {
  const source = { 'source.bytes': file.bytes, 'source.sha256': await sha256Of(file) };
  await store.runs.updateOne({ _id }, { $set: source });
}
