import { spawn } from 'node:child_process';
import { mkdtempSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { scriptBeside } from '../script.ts';
import { cacheDirectory, type Place } from './search.ts';

/** Version that is downloaded, and the name under which it is cached. */
const VERSION = '8.2.6';
export const DOWNLOADED_MONGOD = `mongod-${VERSION}`;

/** Without a byte for this long the download is given up: no network, or one that swallows packets. */
const SILENCE_MS = 15_000;

/** mongodb-memory-server's download, over TLS that is verified; undefined where it does not come about. */
export const fromMemoryServer: Place = async (search) => {
  const { env, say } = search;
  const cache = cacheDirectory(search);
  const draft = mkdtempSync(join(cache, 'fetch-'));
  say.step(`Downloading MongoDB ${VERSION} …`);
  const settings = {
    MONGOMS_VERSION: VERSION,
    MONGOMS_MAX_RETRIES: '1',
    MONGOMS_MD5_CHECK: 'true',
    npm_config_strict_ssl: 'true',
  };
  try {
    const child = spawn(process.execPath, [...scriptBeside(import.meta.url, 'memoryServerDownload'), draft], {
      env: { ...env, ...settings },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const silence = setTimeout(() => child.kill('SIGKILL'), SILENCE_MS);
    let path: string | undefined;
    let reason = 'it ended early';
    createInterface(child.stdout).on('line', (line) => {
      silence.refresh();
      const told = toldBy(line);
      path = told.path ?? path;
      reason = told.failed ?? reason;
      if (told.done !== undefined) say.progress('MongoDB', told.done, told.total);
    });
    await new Promise<void>((resolve) => child.once('close', () => resolve()).once('error', () => resolve()));
    clearTimeout(silence);
    if (path === undefined) {
      if (child.killed) reason = `no answer within ${SILENCE_MS / 1000} s`;
      say.step(`MongoDB was not downloaded: ${reason.replaceAll('\n', ' ')}`);
      return undefined;
    }
    const kept = join(cache, DOWNLOADED_MONGOD);
    renameSync(path, kept);
    say.step(`Kept ${kept}.`);
    return kept;
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
};

interface Told {
  readonly path?: string;
  readonly failed?: string;
  readonly done?: number;
  readonly total?: number;
}

/** The library may print lines of its own. */
function toldBy(line: string): Told {
  return line.startsWith('{') ? (JSON.parse(line) as Told) : {};
}
