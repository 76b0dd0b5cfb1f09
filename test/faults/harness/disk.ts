import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { type Watched, watch } from '../../../src/embedded/watcher.ts';

/** A disk of a server's own, which can be full. */
export interface SmallDisk {
  /** What it is, for the figure. */
  readonly made: string;
  /** The server's command, run where the disk is. */
  inside(command: readonly string[]): readonly string[];
  /** Not one byte more. `pid`: of the server. */
  fill(pid: number): void;
  /** There is room again; `pid` of the server, where it lives. */
  free(pid?: number): void;
  close(): Promise<void>;
}

/**
 * A tmpfs that nobody else sees and that goes with its holder, who goes with us. Where the system lets nobody mount
 * one (a container without rights), a limit to the length of the server's files, which it meets in the same calls.
 */
export async function smallDisk(directory: string, megabytes: number): Promise<SmallDisk> {
  return (await tmpfs(directory, megabytes)) ?? fileLimit();
}

const HOLD = 'mount -t tmpfs -o "size=$2m" tmpfs "$1" && exec sleep infinity';

async function tmpfs(directory: string, megabytes: number): Promise<SmallDisk | undefined> {
  const command = ['unshare', '--map-root-user', '--mount', 'sh', '-c', HOLD, 'sh', directory, String(megabytes)];
  const holder = await watch(command, '/dev/null');
  if (!(await mounted(holder, directory))) return undefined;
  const filler = `/proc/${holder.pid}/root${directory}/filler`;
  const enter = ['nsenter', '--target', String(holder.pid), '--user', '--preserve-credentials', '--mount', '--'];
  return {
    made: `a tmpfs of ${megabytes} MB`,
    inside: (server) => [...enter, ...server],
    fill: () => fillUp(filler),
    free: () => rmSync(filler),
    close: () => holder.stop(),
  };
}

/** False: there is nobody left who would hold the disk. */
async function mounted({ pid, ended }: Watched, directory: string): Promise<boolean> {
  const gone = ended.then(() => true);
  while (!mountsOf(pid).includes(` ${directory} tmpfs `)) if (await Promise.race([gone, pause(5, false)])) return false;
  return true;
}

function mountsOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/mounts`, 'utf8');
  } catch {
    return '';
  }
}

function fillUp(path: string): void {
  const file = openSync(path, 'w');
  try {
    for (const size of [1 << 20, 1 << 12]) {
      try {
        for (const bytes = Buffer.alloc(size, 1); ; ) writeSync(file, bytes);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      }
    }
  } finally {
    closeSync(file);
  }
}

function fileLimit(): SmallDisk {
  const limit = (pid: number, bytes: string) => execFileSync('prlimit', ['--pid', String(pid), `--fsize=${bytes}:`]);
  return {
    made: 'a limit to the length of its files',
    // Not heard of by a signal, which would end the server, but by the call that fails, as on a full disk.
    inside: (server) => ['sh', '-c', 'trap "" XFSZ; exec "$@"', 'sh', ...server],
    fill: (pid) => void limit(pid, '1'),
    free: (pid) => void (pid && limit(pid, 'unlimited')),
    close: () => Promise.resolve(),
  };
}
