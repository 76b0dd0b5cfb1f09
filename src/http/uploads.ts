import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { MultipartFile } from '@fastify/multipart';
import type { FastifyRequest } from 'fastify';
import { MusterError } from '../domain/errors.ts';
import type { RunState } from '../domain/run.ts';
import { type SourceFile, spool } from '../feed/sources/file.ts';
import type { HttpContext } from './context.ts';
import { HttpProblem } from './problems.ts';

export interface Upload {
  readonly file: SourceFile;
  readonly fields: Readonly<Record<string, string>>;
}

/**
 * Takes the one file of a multipart request to disk as it comes; memory holds a few chunks of it, whatever its size.
 * A request that breaks off leaves nothing behind. A process that is killed leaves a folder without a run, which
 * `sweepUploads` finds.
 */
export async function receiveUpload(request: FastifyRequest, directory: string): Promise<Upload> {
  let file: SourceFile | undefined;
  const fields: Record<string, string> = {};
  try {
    for await (const part of request.parts()) {
      if (part.type === 'field') {
        if (typeof part.value === 'string') fields[part.fieldname] = part.value;
        continue;
      }
      if (file)
        throw new HttpProblem(400, 'two-files', 'A run reads one file, and the request holds more. Nothing was run.');
      file = await spooled(part, request.raw, directory);
    }
  } catch (error) {
    await file?.dispose();
    throw isOfTheRequest(error) ? brokenOff() : error;
  }
  if (!file)
    throw new HttpProblem(
      400,
      'no-file',
      'The request holds no file. Nothing was run. Send it as a part with a file name.',
    );
  return { file, fields };
}

async function spooled(part: MultipartFile, raw: Readable, directory: string): Promise<SourceFile> {
  const breaksOff = () => part.file.destroy(brokenOff());
  raw.once('aborted', breaksOff).once('error', breaksOff);
  try {
    const file = await spool(part.file, directory, nameOf(part.filename));
    if (!part.file.truncated) return file;
    await file.dispose();
    throw new HttpProblem(413, 'too-large', 'The file is too large. Nothing was run.');
  } finally {
    raw.off('aborted', breaksOff).off('error', breaksOff);
  }
}

function brokenOff(): HttpProblem {
  return new HttpProblem(
    400,
    'broken-off',
    'The upload broke off, or is not well-formed multipart data. Nothing was run. Send it again.',
  );
}

/** The multipart reader throws plain errors for what it cannot read; a full disk has the call that failed. */
function isOfTheRequest(error: unknown): boolean {
  return error instanceof Error && !(error instanceof MusterError) && !('statusCode' in error) && !('syscall' in error);
}

/** For people alone: it names no place. */
function nameOf(name: string): string {
  return (
    name
      .replaceAll('\\', '/')
      .split('/')
      .at(-1)
      ?.replace(/\p{Cc}/gu, '')
      .slice(0, 200) || 'upload'
  );
}

/** Their file has still to be read, or will be again where a held plan goes stale. */
const WANTED: ReadonlySet<RunState> = new Set(['queued', 'reading', 'held']);
/** A folder without a run that is younger than this may be one that is being written, ms. */
const YOUNG = 3_600_000;

/** Removes what no run will read any more: of died uploads, and of runs that have read. Returns how many it removed. */
export async function sweepUploads({ store, clock, uploads }: HttpContext): Promise<number> {
  const folders = await readdir(uploads).catch(() => []);
  let removed = 0;
  for (const name of folders.filter((name) => name.startsWith('spool-'))) {
    const folder = join(uploads, name);
    const run = await store.runs.findOne(
      { 'source.path': join(folder, 'feed') },
      { sort: { createdAt: -1 }, projection: { state: 1 } },
    );
    if (run && WANTED.has(run.state)) continue;
    const found = await stat(folder).catch(() => undefined);
    const file = await stat(join(folder, 'feed')).catch(() => undefined);
    const last = Math.max(found?.mtimeMs ?? 0, file?.mtimeMs ?? 0);
    if (!found || (!run && clock.now().getTime() - last < YOUNG)) continue;
    await rm(folder, { recursive: true, force: true });
    removed += 1;
  }
  return removed;
}
