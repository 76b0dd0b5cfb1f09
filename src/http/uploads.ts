import { readdir, rm, rmdir, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { MultipartFile } from '@fastify/multipart';
import type { FastifyRequest } from 'fastify';
import { MusterError } from '../domain/errors.ts';
import { needsFile } from '../domain/run.ts';
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
export async function receiveUpload(request: FastifyRequest, { uploads }: HttpContext): Promise<Upload> {
  let file: SourceFile | undefined;
  const fields: Record<string, string> = {};
  try {
    for await (const part of request.parts()) {
      if (part.type === 'field') {
        if (Object.hasOwn(fields, part.fieldname) || part.valueTruncated) throw unclear(part.fieldname);
        // A part that says that it is JSON has been parsed.
        fields[part.fieldname] = String(part.value);
        continue;
      }
      if (file) {
        throw new HttpProblem(400, 'two-files', 'A run reads one file, and the request holds more. Nothing was run.');
      }
      file = await spooled(part, request.raw, join(uploads, OWN));
    }
  } catch (error) {
    await file?.dispose();
    throw isOfTheRequest(error) ? brokenOff() : error;
  }
  if (!file) {
    throw new HttpProblem(
      400,
      'no-file',
      'The request holds no file. Nothing was run. Send it as a part with a file name.',
    );
  }
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

function unclear(field: string): HttpProblem {
  return new HttpProblem(400, 'invalid', `The field ${nameOf(field)} is there twice, or too long. Nothing was run.`);
}

function brokenOff(): HttpProblem {
  const detail = 'The upload broke off, or is not well-formed multipart data. Nothing was run. Send it again.';
  return new HttpProblem(400, 'broken-off', detail, { retry: true });
}

/** The multipart reader throws plain errors for what it cannot read; a full disk has the call that failed. */
function isOfTheRequest(error: unknown): boolean {
  return error instanceof Error && !(error instanceof MusterError) && !('statusCode' in error) && !('syscall' in error);
}

/** For people alone: it names no place. */
function nameOf(name: string): string {
  const base = name.replaceAll('\\', '/').split('/').at(-1);
  return base?.replace(/\p{Cc}/gu, '').slice(0, 200) || 'upload';
}

/** Each process has a directory of its own in `uploads`, so that what a killed one left behind is known as such. */
const OWN = `${hostname()}_${process.pid}`;
/** What a process of another host spools may be being written while it is younger than this, ms. */
const YOUNG = 3_600_000;

/**
 * Removes what no run will read any more: of runs that have read, and of uploads whose process died. `starting`: this
 * process has taken no upload yet, so what lies in its directory is of one before it that had its number.
 */
export async function sweepUploads(context: HttpContext, { starting }: { starting: boolean }): Promise<number> {
  let removed = 0;
  for (const owner of await names(context.uploads)) {
    const directory = join(context.uploads, owner);
    for (const name of await names(directory)) {
      const folder = join(directory, name);
      if (!name.startsWith('spool-') || !(await isLeft(context, owner, folder, starting))) continue;
      await rm(folder, { recursive: true, force: true });
      removed += 1;
    }
    if (owner !== OWN) await rmdir(directory).catch(() => undefined);
  }
  return removed;
}

async function isLeft(
  { store, clock }: HttpContext,
  owner: string,
  folder: string,
  starting: boolean,
): Promise<boolean> {
  const run = await store.runs.findOne(
    { 'source.path': join(folder, 'feed') },
    { sort: { createdAt: -1 }, projection: { state: 1, preview: 1 } },
  );
  if (run) return !needsFile(run.state, run.preview);
  if (owner === OWN) return starting;
  const pid = Number(owner.slice(owner.lastIndexOf('_') + 1));
  if (owner === `${hostname()}_${pid}`) return !isAlive(pid);
  const found = await stat(join(folder, 'feed')).catch(() => stat(folder));
  return clock.now().getTime() - found.mtimeMs >= YOUNG;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function names(directory: string): Promise<string[]> {
  return readdir(directory).catch(() => []);
}
