import { tmpdir } from 'node:os';
import { Redis } from 'ioredis';
import mongoose from 'mongoose';
import { sayOn } from '../src/embedded/say.ts';
import { startEmbedded } from '../src/embedded/servers.ts';
import { initiateReplicaSet } from '../src/store/replicaSet.ts';
import type { Surroundings } from './tasks.ts';

/** Gigabytes of mongod's cache: enough for the indexes of a million learners, too little for everything. */
const CACHE_GB = 1.5;

/** Servers of the bench's own, empty, on the system's disk; gone when it ends. */
export async function startServers(): Promise<{ surroundings: Surroundings; stop: () => Promise<void> }> {
  const {
    mongodbUri = '',
    redisUrl = '',
    stop,
  } = await startEmbedded({
    dataDir: tmpdir(),
    ephemeral: true,
    need: { mongodb: true, redis: true },
    mongodCacheGB: CACHE_GB,
    say: sayOn(),
    initiate: initiateReplicaSet,
  });
  const connection = await mongoose.createConnection(mongodbUri).asPromise();
  const status = await connection.db?.admin().serverStatus();
  await connection.close();
  const redis = new Redis(redisUrl);
  const info = await redis.info('server');
  redis.disconnect();
  const pids = { mongod: Number(status?.pid), redis: Number(/^process_id:(\d+)/m.exec(info)?.[1]) };
  return { surroundings: { mongodbUri, redisUrl, pids }, stop };
}
