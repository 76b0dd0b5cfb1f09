import { existsSync } from 'node:fs';
import mongoose from 'mongoose';
import type { TestProject } from 'vitest/node';
import { sayOn } from '../src/embedded/say.ts';
import { startEmbedded } from '../src/embedded/servers.ts';
import { initiateReplicaSet } from '../src/store/replicaSet.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    mongodbUri: string;
    redisUrl: string;
  }
}

/**
 * One MongoDB and one Redis for the whole run, in memory where the system has `/dev/shm`.
 * `MUSTER_TEST_MONGODB_URI` and `MUSTER_TEST_REDIS_URL` name others.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { MUSTER_TEST_MONGODB_URI: mongodbUri, MUSTER_TEST_REDIS_URL: redisUrl } = process.env;
  const servers = await startEmbedded({
    dataDir: '.muster',
    ephemeral: true,
    ...(existsSync('/dev/shm') ? { temporaryIn: '/dev/shm' } : {}),
    need: { mongodb: !mongodbUri, redis: !redisUrl },
    say: sayOn(),
    initiate: initiateReplicaSet,
    testCommands: true,
  });
  const uri = mongodbUri || (servers.mongodbUri ?? '');
  await keepExpired(uri);
  project.provide('mongodbUri', uri);
  project.provide('redisUrl', redisUrl || (servers.redisUrl ?? ''));
  return servers.stop;
}

/** Tests have a clock of their own, in the past, by which MongoDB would take what they have just written for expired. */
async function keepExpired(uri: string): Promise<void> {
  const connection = await mongoose.createConnection(uri).asPromise();
  await connection.db?.admin().command({ setParameter: 1, ttlMonitorEnabled: false });
  await connection.close();
}
