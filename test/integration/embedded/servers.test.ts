import { Redis } from 'ioredis';
import mongoose from 'mongoose';
import { expect, test } from 'vitest';
import { freshDatabase } from '../../servers.ts';

test('the test run has a MongoDB with transactions and a Redis that evicts nothing', async () => {
  const servers = freshDatabase();
  const connection = await mongoose.createConnection(servers.mongodbUri).asPromise();
  await connection.transaction(async (session) => {
    await connection.collection('facts').insertOne({ held: true }, { session });
  });
  expect(await connection.collection('facts').countDocuments()).toBe(1);
  await connection.close();
  const redis = new Redis(servers.redisUrl);
  expect(await redis.config('GET', 'maxmemory-policy')).toEqual(['maxmemory-policy', 'noeviction']);
  redis.disconnect();
});
