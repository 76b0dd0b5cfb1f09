import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import mongoose from 'mongoose';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { findMongod } from '../../src/embedded/binaries/mongod.ts';
import { findRedis } from '../../src/embedded/binaries/redis.ts';
import { freePort } from '../../src/embedded/identity.ts';
import { ready } from '../../src/embedded/ready.ts';
import { silent } from '../../src/embedded/say.ts';
import { type Watched, watch } from '../../src/embedded/watcher.ts';
import { checkRedis, RedisEvicts, RedisTooOld, requireRedisVersion } from '../../src/queue/serverCheck.ts';
import { checkMongo, MongoNotReplicaSet, MongoTooOld, requireMongoVersion } from '../../src/store/serverCheck.ts';
import { figure } from '../faults/harness/figures.ts';

const search = { env: process.env, say: silent };
let directory: string;
const started: Watched[] = [];

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'muster-check-'));
});
afterAll(async () => {
  await Promise.all(started.map((server) => server.stop()));
  rmSync(directory, { recursive: true, force: true });
});

async function start(command: (port: number) => readonly string[]): Promise<number> {
  const port = await freePort();
  started.push(await watch(command(port), join(directory, 'log')));
  await ready(port, AbortSignal.timeout(20_000));
  return port;
}

async function redisOf<T>(url: string, use: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(url);
  return use(redis).finally(() => redis.disconnect());
}

async function mongoOf<T>(uri: string, use: (connection: mongoose.Connection) => Promise<T>): Promise<T> {
  const connection = await mongoose.createConnection(uri).asPromise();
  try {
    return await use(connection);
  } finally {
    await connection.close();
  }
}

describe('Redis', () => {
  test('a Redis with noeviction is accepted', async () => {
    await expect(redisOf(inject('redisUrl'), checkRedis)).resolves.toBeUndefined();
  });

  test('fault 13: a Redis that evicts is refused with the setting to change', async () => {
    const redis = await findRedis(search);
    const port = await start((port) => [
      redis,
      ...`--port ${port} --bind 127.0.0.1 --maxmemory-policy allkeys-lru --save`.split(' '),
      '',
    ]);
    const then = performance.now();
    const refusal = redisOf(`redis://127.0.0.1:${port}`, checkRedis);
    await expect(refusal).rejects.toThrow(RedisEvicts);
    const seconds = ((performance.now() - then) / 1000).toFixed(2);
    const setting = '`maxmemory-policy noeviction`';
    await expect(refusal).rejects.toThrow(setting);
    figure('13', 'evicts', `does not start: refused after ${seconds} s, naming ${setting} in redis.conf`);
  });

  test.each(['5.0.14', '6.0.16', 'unknown'])('Redis %s is refused as too old', (version) => {
    expect(() => requireRedisVersion(version)).toThrow(RedisTooOld);
  });

  test.each(['6.2.0', '7.0.15', '8.0.1', '10.0.0'])('Redis %s is new enough', (version) => {
    expect(() => requireRedisVersion(version)).not.toThrow();
  });
});

describe('MongoDB', () => {
  test('a replica set is accepted', async () => {
    await expect(mongoOf(inject('mongodbUri'), checkMongo)).resolves.toBeUndefined();
  });

  test('a MongoDB that is no replica set is refused with the command that makes it one', async () => {
    const mongod = await findMongod(search);
    const port = await start((port) => [
      mongod,
      ...`--dbpath ${directory} --port ${port} --bind_ip 127.0.0.1 --nounixsocket`.split(' '),
    ]);
    const refusal = mongoOf(`mongodb://127.0.0.1:${port}/muster`, checkMongo);
    await expect(refusal).rejects.toThrow(MongoNotReplicaSet);
    await expect(refusal).rejects.toThrow('rs.initiate()');
  });

  test('MongoDB 5 is refused as too old, 6.0 and 10 are not', () => {
    expect(() => requireMongoVersion('5.0.31')).toThrow(MongoTooOld);
    expect(() => requireMongoVersion('6.0.0')).not.toThrow();
    expect(() => requireMongoVersion('10.1.0')).not.toThrow();
  });
});
