import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { findMongod } from './binaries/mongod.ts';
import { findRedis } from './binaries/redis.ts';
import { ServerFailed } from './errors.ts';
import type { ServerName } from './identity.ts';
import { joinKeeper } from './keeperClient.ts';
import { REPLICA_SET } from './programs.ts';
import type { Say } from './say.ts';

/** What a one-node replica set needs to become usable; every part may have been done before. */
export interface ReplicaSetOrder {
  /** As the server's own user, who exists from the start. */
  readonly uri: string;
  readonly name: string;
  /** The address that the set's one member must have. */
  readonly host: string;
  /** The user to be made, with the role `root`. */
  readonly user: string;
  readonly password: string;
}

export interface EmbeddedOptions {
  /** `MUSTER_DATA`. The servers' data lie in `servers/` below it. */
  readonly dataDir: string;
  /** Data in a new directory that is removed afterwards, below `temporaryIn` (default: the system's). */
  readonly ephemeral?: boolean;
  readonly temporaryIn?: string;
  readonly need: { readonly mongodb: boolean; readonly redis: boolean };
  readonly say: Say;
  /** Initiates the replica set and settles when it can be written to. */
  initiate(order: ReplicaSetOrder): Promise<void>;
  /** Gigabytes of mongod's cache (default 0.5). */
  readonly mongodCacheGB?: number;
  /** Opens mongod's fail points; for tests only. */
  readonly testCommands?: boolean;
}

export interface EmbeddedServers {
  readonly mongodbUri?: string;
  readonly redisUrl?: string;
  /** Gives the servers up. Where nobody else uses them, they have stopped when this settles. */
  readonly stop: () => Promise<void>;
}

/**
 * Starts the servers that are needed, or joins those that another command has started in the same data directory.
 * They end when the last command that uses them ends, by whatever kind of end.
 * @throws {ServerMissing} where a binary is neither found nor fetched, {ServerFailed} where a server does not start.
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedServers> {
  const { say, need } = options;
  const sweep = options.ephemeral ? mkdtempSync(join(options.temporaryIn ?? tmpdir(), 'muster-')) : undefined;
  const home = resolve(sweep ?? options.dataDir, 'servers');
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const keeper = await joinKeeper(home, sweep);
  try {
    const [mongodb, redis] = await Promise.all([
      need.mongodb ? begin('mongodb') : undefined,
      need.redis ? begin('redis') : undefined,
    ]);
    return {
      ...(mongodb === undefined ? {} : { mongodbUri: await usable(mongodb) }),
      ...(redis === undefined ? {} : { redisUrl: `redis://:${redis.password}@127.0.0.1:${redis.port}` }),
      stop: keeper.leave,
    };
  } catch (error) {
    await keeper.leave();
    throw error;
  }

  async function begin(server: ServerName) {
    const find = server === 'mongodb' ? findMongod : findRedis;
    const binary = keeper.running.includes(server) ? '' : await find({ env: process.env, say });
    const told = await keeper.start({
      server,
      binary,
      ...(options.mongodCacheGB === undefined ? {} : { cacheGB: options.mongodCacheGB }),
      ...(options.testCommands === undefined ? {} : { testCommands: options.testCommands }),
    });
    if (told.kind === 'failed') throw new ServerFailed(told.reason);
    return told;
  }

  async function usable({ port, password }: { port: number; password: string }): Promise<string> {
    const host = `127.0.0.1:${port}`;
    await options.initiate({
      uri: `mongodb://__system:${password}@${host}/?authSource=local&directConnection=true`,
      name: REPLICA_SET,
      host,
      user: 'muster',
      password,
    });
    return `mongodb://muster:${password}@${host}/muster?authSource=admin&replicaSet=${REPLICA_SET}`;
  }
}
