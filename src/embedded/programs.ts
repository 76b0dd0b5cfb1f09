import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ServerName } from './identity.ts';
import { ready } from './ready.ts';

/** How the keeper is asked for a server. */
export interface Order {
  readonly server: ServerName;
  readonly binary: string;
  /** Gigabytes of mongod's cache. */
  readonly cacheGB?: number;
  /** Opens mongod's fail points, for tests. */
  readonly testCommands?: boolean;
}

/** A server's command and the sign that it works. */
export interface Program {
  readonly command: readonly string[];
  /** Settles when it works, or when `enough` is aborted. */
  ready(enough: AbortSignal): Promise<void>;
}

const OPLOG_MB = 990;
/**
 * What a killed process had open is locked until MongoDB ends it, up to half as long again after this, s; MongoDB's own
 * default is 60. The longest transaction of 1,000 learners took 2 s on two cores with a load of 20; what does take
 * longer is done learner by learner.
 */
const TRANSACTION_SECONDS = 10;
/**
 * How much of the cache may hold what is not written to the data files yet, per cent: the journal has it already. With
 * MongoDB's own 5 and 20, half of its work in a large import was to write pages early that change again
 * (docs/decisions/0005-speed-tried.md).
 */
const CACHE = 'eviction_dirty_target=20,eviction_dirty_trigger=40';

/** Writes the server's own files below `home` and says how it is started there. */
export function programOf(order: Order, home: string, port: number, password: string): Program {
  const data = join(home, order.server);
  mkdirSync(data, { recursive: true, mode: 0o700 });
  return order.server === 'mongodb'
    ? mongod(order, data, port, keyFile(home, password))
    : redis(order, data, port, password);
}

/** MongoDB 6.0.5 is old: without zlib, whose decompression was unsafe in old versions. */
function mongod(order: Order, data: string, port: number, key: string): Program {
  const options = {
    dbpath: data,
    port: String(port),
    bind_ip: '127.0.0.1',
    replSet: REPLICA_SET,
    oplogSize: String(OPLOG_MB),
    keyFile: key,
    networkMessageCompressors: 'snappy,zstd',
    wiredTigerCacheSizeGB: String(order.cacheGB ?? 0.5),
    wiredTigerEngineConfigString: CACHE,
  };
  const parameters = [
    'diagnosticDataCollectionEnabled=false',
    `transactionLifetimeLimitSeconds=${TRANSACTION_SECONDS}`,
    `enableTestCommands=${order.testCommands ? 1 : 0}`,
  ];
  return {
    command: [
      order.binary,
      '--quiet',
      '--nounixsocket',
      ...Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]),
      ...parameters.flatMap((parameter) => ['--setParameter', parameter]),
    ],
    ready: (enough) => ready(port, enough),
  };
}

export const REPLICA_SET = 'muster';

/** The members' common key is the password too: MongoDB takes it for its own user `__system`. */
function keyFile(home: string, password: string): string {
  const path = join(home, 'mongodb.key');
  writeFileSync(path, password, { mode: 0o600 });
  return path;
}

/** In a file and not on the command line, which every user of the machine can read. */
function redis(order: Order, data: string, port: number, password: string): Program {
  const settings = [
    `bind 127.0.0.1`,
    `port ${port}`,
    `requirepass ${password}`,
    `dir ${JSON.stringify(data)}`,
    'appendonly yes',
    'appendfsync everysec',
    'maxmemory-policy noeviction',
    'save ""',
    // The command line must keep naming this file: an orphan is known by it.
    'set-proc-title no',
  ];
  const path = join(data, 'redis.conf');
  writeFileSync(path, `${settings.join('\n')}\n`, { mode: 0o600 });
  return {
    command: [order.binary, path],
    ready: (enough) => ready(port, enough, { send: `AUTH ${password}\r\nPING\r\n`, answer: '+PONG' }),
  };
}
