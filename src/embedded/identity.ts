import { randomBytes } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';

export type ServerName = 'mongodb' | 'redis';

/** What a data directory's servers are known by; kept beside the data, readable for its owner alone. */
export interface Identity {
  readonly password: string;
  /** Ports used last. They are used again where free, since a replica set keeps its address in its data. */
  readonly ports: Partial<Record<ServerName, number>>;
}

/** Reads the identity of a data directory, or makes one. */
export function identityOf(directory: string): Identity {
  try {
    return JSON.parse(readFileSync(join(directory, 'identity.json'), 'utf8')) as Identity;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return saveIdentity(directory, { password: randomBytes(24).toString('hex'), ports: {} });
}

export function saveIdentity(directory: string, identity: Identity): Identity {
  const draft = join(directory, 'identity.json.draft');
  writeFileSync(draft, JSON.stringify(identity), { mode: 0o600 });
  renameSync(draft, join(directory, 'identity.json'));
  return identity;
}

/** The port asked for where nobody listens there, else a random free one of loopback. */
export async function freePort(wanted = 0): Promise<number> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once('error', (error) => (wanted === 0 ? reject(error) : resolve(freePort())));
    server.listen(wanted, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : wanted));
    });
  });
}
