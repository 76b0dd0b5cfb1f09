import { createHash } from 'node:crypto';
import type { HttpContext } from './context.ts';
import { withPatience } from './figures.ts';
import { HttpProblem } from './problems.ts';

/** So many tries in that time, ms. */
export interface Limit {
  readonly max: number;
  readonly ms: number;
}

/**
 * Counts a try at something secret before it is made, so that many at once do not slip through, and takes it back when
 * it was right. Counted in Redis for all processes; where Redis cannot be reached, tries are not limited.
 * @returns what takes the tries back.
 * @throws {HttpProblem} 429 where there were too many.
 */
export async function countTry(
  { queues, log }: HttpContext,
  limits: Readonly<Record<string, Limit>>,
): Promise<() => Promise<void>> {
  const { redis, prefix } = queues;
  // Names of people do not stand in Redis.
  const counted = Object.entries(limits).map(([name, limit]) => ({
    ...limit,
    key: `${prefix}:tries:${createHash('sha256').update(name).digest('base64url')}`,
  }));
  try {
    for (const { key, max, ms } of counted) {
      const done = await withPatience(redis.multi().set(key, 0, 'PX', ms, 'NX').incr(key).pttl(key).exec());
      const [tries, left] = [Number(done?.[1]?.[1]), Number(done?.[2]?.[1])];
      if (tries > max) throw tooMany(left > 0 ? left : ms);
    }
  } catch (error) {
    if (error instanceof HttpProblem) throw error;
    log.warn({ error: (error as Error).name }, 'tries not counted');
  }
  return async () => {
    for (const { key } of counted) await redis.decr(key).catch(() => undefined);
  };
}

function tooMany(ms: number): HttpProblem {
  const seconds = Math.ceil(ms / 1000);
  return new HttpProblem(429, 'too-many-tries', `Too many tries. Try again in ${seconds} s.`, {
    'retry-after': String(seconds),
  });
}
