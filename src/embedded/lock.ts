import { randomUUID } from 'node:crypto';
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { isAlive, startOf } from './process.ts';

/** Who owns the servers of a data directory; the text of the lock file. */
export interface Holder {
  readonly pid: number;
  /** Start of the process as the kernel counts it, so that a later process of the same id is not taken for it. */
  readonly started: string;
  readonly nonce: string;
  readonly socket: string;
  /** Process ids of the servers, by name. */
  readonly servers: Readonly<Record<string, number>>;
}

export interface Lock {
  readonly holder: Holder;
  /** The dead owner whose lock was taken over; its servers may still run. */
  readonly stale?: Holder;
  /** Writes the servers' process ids into the lock file. */
  readonly record: (servers: Readonly<Record<string, number>>) => void;
  readonly release: () => void;
}

/** The holder named in the lock file, alive or not. */
export function readHolder(path: string): Holder | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Holder;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

export function holderLives(holder: Holder): boolean {
  return isAlive(holder.pid) && startOf(holder.pid) === holder.started;
}

/**
 * Takes the lock for this process, or says by undefined that a living process holds it.
 *
 * The file appears whole, by link(2), which fails where a file is. The lock of a dead process is replaced only by who
 * holds a second lock named after that very holder, so that of many who find it stale exactly one takes it over; the
 * second lock is taken in the same way, should its owner die too.
 */
export function takeLock(path: string, socket: string): Lock | undefined {
  const holder: Holder = { pid: process.pid, started: startOf(process.pid), nonce: randomUUID(), socket, servers: {} };
  const draft = `${path}.${holder.nonce}`;
  for (;;) {
    writeFileSync(draft, JSON.stringify(holder), { mode: 0o600 });
    try {
      linkSync(draft, path);
      rmSync(draft);
      return held(path, holder);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const other = readHolder(path);
    if (other === undefined) continue;
    const takeover = holderLives(other) ? undefined : takeLock(`${path}.after-${other.nonce}`, socket);
    if (takeover === undefined) {
      rmSync(draft);
      return undefined;
    }
    if (readHolder(path)?.nonce === other.nonce) {
      renameSync(draft, path);
      takeover.release();
      return { ...held(path, holder), stale: other };
    }
    takeover.release();
  }
}

function held(path: string, holder: Holder): Lock {
  return {
    holder,
    record(servers) {
      const draft = `${path}.${holder.nonce}`;
      writeFileSync(draft, JSON.stringify({ ...holder, servers }), { mode: 0o600 });
      renameSync(draft, path);
    },
    release() {
      rmSync(path, { force: true });
    },
  };
}
