import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import { withPatience } from '../queue/patience.ts';
import { loginKey } from '../store/users.ts';
import type { HttpContext } from './context.ts';
import { HttpProblem } from './problems.ts';

/** So many tries in that time, ms. */
interface Limit {
  readonly max: number;
  readonly ms: number;
}

/** Tries to log in: from one address, of one name from one address, */
const FROM_ADDRESS = { max: 60, ms: 60_000 };
const OF_NAME = { max: 10, ms: 5 * 60_000 };
/** and of one name from anywhere: more than one address can use up, so that nobody shuts out another by himself. */
const OF_ACCOUNT = { max: 300, ms: 3_600_000 };

/** Counts a try to log in, as `countTry` does; without a name, of something that names nobody (a link, a provider). */
export function countLogIn(context: HttpContext, { ip }: { ip: string }, login?: string): Promise<() => Promise<void>> {
  const from = networkOf(ip);
  const name = login === undefined ? undefined : loginKey(login);
  return countTry(context, {
    [`address ${from}`]: FROM_ADDRESS,
    ...(name !== undefined && { [`${from} ${name}`]: OF_NAME, [`account ${name}`]: OF_ACCOUNT }),
  });
}

/** Of IPv6 the network, since one machine has as many addresses in it as it likes. */
export function networkOf(ip: string): string {
  if (isIP(ip) !== 6) return ip;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(ip)?.[1];
  if (mapped !== undefined) return mapped;
  const [head = '', tail] = (ip.split('%')[0] as string).split('::');
  const groups = (part: string | undefined) => (part ? part.split(':') : []);
  const missing = 8 - groups(head).length - groups(tail).length;
  const all = tail === undefined ? groups(head) : [...groups(head), ...Array(missing).fill('0'), ...groups(tail)];
  return all
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':');
}

/** What PTTL says of a key that never runs out. */
const NO_END = -1;
/** A count that has run out meanwhile is left alone: DECR would begin it again, without an end. */
const TAKE_BACK = `if tonumber(redis.call('GET', KEYS[1]) or 0) > 0 then redis.call('DECR', KEYS[1]) end`;

/**
 * Counts a try at something secret before it is made, so that many at once do not slip through, and takes it back when
 * it was right. Counted in Redis for all processes; where Redis cannot be reached, tries are not limited.
 * @returns what takes the tries back.
 * @throws {HttpProblem} 429 where there were too many.
 */
async function countTry(
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
      // A count without an end would shut everybody behind the address out for good.
      if (left === NO_END) await withPatience(redis.pexpire(key, ms));
      if (tries > max) throw tooMany(left > 0 ? left : ms);
    }
  } catch (error) {
    if (error instanceof HttpProblem) throw error;
    log.warn({ error: (error as Error).name }, 'tries not counted');
  }
  return async () => {
    const takenBack = counted.map(({ key }) => withPatience(redis.eval(TAKE_BACK, 1, key)));
    await Promise.allSettled(takenBack);
  };
}

function tooMany(ms: number): HttpProblem {
  const seconds = Math.ceil(ms / 1000);
  return new HttpProblem(429, 'too-many-tries', `Too many tries. Try again in ${seconds} s.`, {
    headers: { 'retry-after': String(seconds) },
  });
}
