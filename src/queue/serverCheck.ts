import type { Redis } from 'ioredis';
import { MusterError } from '../domain/errors.ts';

export class RedisEvicts extends MusterError {
  readonly code = 'redis-evicts';
  override readonly exit = 2;
  constructor(policy: string) {
    super(
      `The Redis of REDIS_URL has maxmemory-policy ${policy}, which may throw jobs away, so Muster does not start. ` +
        'Set `maxmemory-policy noeviction` in redis.conf, or now by `redis-cli CONFIG SET maxmemory-policy noeviction`.',
    );
  }
}

export class RedisTooOld extends MusterError {
  readonly code = 'redis-too-old';
  override readonly exit = 2;
  constructor(found: string) {
    super(
      `The Redis of REDIS_URL is version ${found}, and Muster needs 6.2 or newer, so it does not start. ` +
        'Upgrade it, or unset REDIS_URL for the embedded server.',
    );
  }
}

/** @throws {RedisTooOld | RedisEvicts} where the server cannot carry Muster. */
export async function checkRedis(redis: Redis): Promise<void> {
  const info = await redis.info();
  // INFO and not CONFIG GET for the policy: hosted Redis often forbids CONFIG.
  requireRedisVersion(field(info, 'redis_version'));
  const policy = field(info, 'maxmemory_policy');
  if (policy !== 'noeviction') throw new RedisEvicts(policy);
}

/** @throws {RedisTooOld} */
export function requireRedisVersion(version: string): void {
  const [major = Number.NaN, minor = 0] = version.split('.').map(Number);
  if (!(major > 6 || (major === 6 && minor >= 2))) throw new RedisTooOld(version);
}

function field(info: string, name: string): string {
  return new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? 'unknown';
}
