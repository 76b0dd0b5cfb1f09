import { randomBytes } from 'node:crypto';
import mongoose from 'mongoose';
import { afterAll, inject } from 'vitest';

/** What one test file has for itself of the servers that all share. */
export interface TestServers {
  /** Names a database of this file alone. */
  readonly mongodbUri: string;
  readonly database: string;
  readonly redisUrl: string;
  /** Key prefix of this file alone. */
  readonly prefix: string;
}

/** A new, empty database and key prefix; the database is dropped when the file's tests are over. */
export function freshDatabase(): TestServers {
  const database = `test_${randomBytes(6).toString('hex')}`;
  const uri = new URL(inject('mongodbUri'));
  uri.pathname = `/${database}`;
  afterAll(async () => {
    const connection = await mongoose.createConnection(uri.href).asPromise();
    await connection.dropDatabase();
    await connection.close();
  });
  return { mongodbUri: uri.href, database, redisUrl: inject('redisUrl'), prefix: database };
}
