import { Redis } from 'ioredis';

/** The longest pause between two tries to connect again, ms: work goes on this soon after Redis is back. */
const RECONNECT_CAP = 250;

/**
 * A connection for producers (fails fast: the relay finds again what was not enqueued) or for workers (waits).
 * Reconnects for ever with a capped delay.
 */
export function connectRedis(url: string, use: 'producer' | 'worker', log: (error: Error) => void): Redis {
  const options = {
    maxRetriesPerRequest: use === 'worker' ? null : 1,
    connectTimeout: 5_000,
    retryStrategy: (times: number) => Math.min(50 * 2 ** Math.min(times, 6), RECONNECT_CAP),
  };
  const redis = new Redis(url, options);
  redis.on('error', log);
  return redis;
}

/** Why Redis refuses to write for now, with what helps; undefined: it is another error. Its policy is `noeviction`, so nothing is lost meanwhile. */
export function refusal(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if (error.message.startsWith('OOM ')) return 'Redis is full: work waits until its maxmemory is raised';
  if (error.message.startsWith('MISCONF '))
    return 'Redis cannot write to its disk: work waits until there is room on it';
  return undefined;
}
