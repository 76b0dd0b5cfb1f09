import { hostname } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { MusterError } from '../domain/errors.ts';
import type { RunState } from '../domain/run.ts';
import { locate, type SourceFile, sourceFile } from '../feed/sources/file.ts';
import type { Queues } from '../queue/queues.ts';
import { isTransient } from '../store/failures.ts';
import { settingsOf } from '../store/feeds.ts';
import type { FeedDoc, RunDoc } from '../store/models.ts';
import { ofRun } from '../store/outbox.ts';
import { readRun } from '../store/runs.ts';
import type { Services } from '../store/services.ts';
import { advanceRun } from './advance.ts';
import { enqueueRun } from './enqueue.ts';
import { executeRun, failRun } from './execute.ts';

/** What a process offers to a run that it takes to its end. */
export interface Drive {
  readonly services: Services;
  readonly queues: () => Promise<Queues>;
  /** Sees to it that workers and the relay run in this process. */
  readonly work: () => Promise<void>;
  /** How far the run has come: batches that wait still, of all. */
  readonly progress?: (run: RunDoc, left: number) => void;
  /** The run waits for this one of the same feed. */
  readonly waiting?: (other: RunDoc) => void;
  readonly signal?: AbortSignal;
}

/** A run that others work at is looked at after a twentieth of the time that it has taken so far, within these, ms. */
const LOOK_OFTEN = 10;
const LOOK_SELDOM = 500;

/**
 * Takes a run from wherever it is to an end state, or to `held`: reads and plans in this process, and has jobs apply
 * it, here or in other workers. While another run of the feed is at work it waits (R23). Rejects where the signal
 * aborts; the run then goes on when it is driven again. `file` is needed until it has been read.
 */
export async function driveRun(drive: Drive, run: RunDoc, file?: SourceFile): Promise<RunDoc> {
  const { services, signal } = drive;
  const { store, clock } = services;
  let told: string | undefined;
  for (let now = run; ; now = (await readRun(store, run._id)) as RunDoc) {
    if (file && isFree(now, clock.now())) now = await read(services, now, file);
    if (APPLYING.has(now.state)) return apply(drive, now);
    if (!file && isFree(now, clock.now())) {
      await failRun(services, now, new SourceGone(now));
      continue;
    }
    if (!READING.has(now.state) || now.finishedAt) return now;
    if (now.state === 'queued') {
      const other = await store.runs.findOne({ feed: run.feed, working: true });
      if (other && other._id !== told) drive.waiting?.(other);
      told = other?._id;
    }
    await pause(LOOK_SELDOM, undefined, { ...(signal && { signal }) });
  }
}

/** Reads and plans; what met trouble with the database is read again by the next turn. */
async function read(services: Services, run: RunDoc, file: SourceFile): Promise<RunDoc> {
  try {
    return await executeRun(services, run, file);
  } catch (error) {
    if (!isTransient(error)) throw error;
    services.log.warn({ run: run._id }, 'MongoDB went away while a file was read: it is read again');
    return (await readRun(services.store, run._id)) as RunDoc;
  }
}

const READING: ReadonlySet<RunState> = new Set(['queued', 'reading', 'planned']);
const APPLYING: ReadonlySet<RunState> = new Set(['applying', 'reconciling']);

/** A run was killed while it read a file that is not there any more. */
export class SourceGone extends MusterError {
  readonly code = 'source-gone';
  constructor({ _id, source }: RunDoc) {
    super(
      `Run ${_id} was interrupted before ${source.name} was read to its end, and the file is gone. Nothing was changed. Import it again.`,
    );
  }
}

/** The file of a run: its own, or that of the feed's source. Rejects as `locate` does. */
export async function fileOf({ source: { path } }: RunDoc, feed: FeedDoc, base: string): Promise<SourceFile> {
  return path === undefined ? locate(settingsOf(feed).source, base) : sourceFile(path);
}

/** Is nobody reading the run, though it is to be read? */
export function isFree(run: RunDoc, now: Date): boolean {
  return READING.has(run.state) && !run.finishedAt && (run.state === 'queued' || !isDriven(run, now));
}

async function apply({ services, queues, work, progress, signal }: Drive, run: RunDoc): Promise<RunDoc> {
  // Where Redis does not answer, the relay of this process enqueues it later.
  await enqueueRun(services.store, await queues(), run._id).catch(() => undefined);
  await work();
  const began = performance.now();
  for (let now: RunDoc = run; ; ) {
    progress?.(now, await services.store.outbox.countDocuments(ofRun(run._id)));
    await advanceRun(services, run._id);
    now = (await readRun(services.store, run._id)) as RunDoc;
    if (!APPLYING.has(now.state)) return now;
    const look = Math.min(LOOK_SELDOM, Math.max(LOOK_OFTEN, (performance.now() - began) / 20));
    await pause(look, undefined, { ...(signal && { signal }) });
  }
}

/** Runs that were killed while their file was read, in this or another process, previews too: they are to be read again. */
export async function abandonedRuns({ store, clock }: Services): Promise<RunDoc[]> {
  const runs = await store.runs
    .find({
      $or: [
        { working: true, state: { $in: ['reading', 'planned'] } },
        { preview: true, state: 'reading' },
      ],
    })
    .toArray();
  return runs.filter((run) => !isDriven(run, clock.now()));
}

/** The run that owns the feed though nobody drives it: its process was killed. Undefined where there is none. */
export async function interruptedRun({ store, clock }: Services, feed: string): Promise<RunDoc | undefined> {
  const run = await store.runs.findOne({ feed, working: true });
  if (!run) return undefined;
  return APPLYING.has(run.state) || !isDriven(run, clock.now()) ? run : undefined;
}

/** Is the process that reads the run alive? Known at once on the same host, otherwise when its lease has run out. */
function isDriven({ lease }: RunDoc, now: Date): boolean {
  if (!lease || lease.until <= now) return false;
  return lease.host !== hostname() || isAlive(lease.pid);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
