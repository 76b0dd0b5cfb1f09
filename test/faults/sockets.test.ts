import { afterAll, beforeAll, expect, test } from 'vitest';
import { isTransient } from '../../src/store/failures.ts';
import { mongo } from '../../src/store/models.ts';
import { freshDatabase } from '../servers.ts';
import { StallingProxy } from './harness/proxy.ts';

const servers = freshDatabase();
let proxy: StallingProxy;
let client: InstanceType<typeof mongo.MongoClient>;
beforeAll(async () => {
  const uri = new URL(servers.mongodbUri);
  proxy = await StallingProxy.open(Number(uri.port));
  uri.port = String(proxy.port);
  client = await new mongo.MongoClient(uri.href, { directConnection: true, retryWrites: false }).connect();
});
afterAll(async () => {
  await client.close();
  await proxy.close();
});

/** More than the kernel takes of a connection that nobody reads from. */
const LARGE = 'x'.repeat(15_000_000);

test('R24, fault 20: a connection that breaks while a command is written on it is the network’s trouble, not the run’s', async () => {
  const notes = client.db(servers.database).collection('notes');
  await notes.insertOne({ text: 'a connection is open' });
  proxy.stall();
  const written = notes.insertOne({ text: LARGE }).then(
    () => 'written',
    (error: unknown) => error,
  );
  await new Promise((resolve) => setTimeout(resolve, 200));
  proxy.reset();
  proxy.flow();
  const error = await written;
  expect(error).toBeInstanceOf(Error);
  expect(error).not.toBeInstanceOf(mongo.MongoError);
  expect(isTransient(error)).toBe(true);
});
