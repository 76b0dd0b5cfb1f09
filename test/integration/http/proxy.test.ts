import { createHash } from 'node:crypto';
import { afterEach, describe, expect, test } from 'vitest';
import { buildServer } from '../../../src/http/server.ts';
import { countLogIn } from '../../../src/http/tries.ts';
import { addUser } from '../../../src/store/users.ts';
import { useApi } from './asking.ts';

const api = useApi();

async function behind(trustProxy?: string): Promise<void> {
  await api.app.close();
  api.app = await buildServer({ ...api.context, ...(trustProxy !== undefined && { trustProxy }) });
}

/** Tries a link that never was, which costs no password; how it was answered. */
async function tries(count: number, from: (at: number) => string): Promise<Set<number>> {
  const statuses = new Set<number>();
  for (let at = 0; at < count; at += 1) {
    const body = { token: 'never given', password: 'correct horse battery' };
    const answer = await api.ask(undefined, 'POST', 'password', body, { 'x-forwarded-for': from(at) });
    statuses.add(answer.statusCode);
  }
  return statuses;
}

afterEach(() => {
  api.address = '127.0.0.1';
});

describe('tries to log in behind a proxy', () => {
  test('count as of the address that a trusted proxy names, an IPv6 network being one', async () => {
    await behind('loopback, 10.0.0.0/8');
    expect(await tries(60, (at) => `2001:db8:5::${at.toString(16)}, 10.1.2.3`)).toEqual(new Set([404]));
    expect(await tries(1, () => '2001:db8:5::ffff')).toEqual(new Set([429]));
    expect(await tries(1, () => '2001:db8:6::1')).toEqual(new Set([404]));
  });

  test('an address that the client itself wrote before the proxy counts for nothing', async () => {
    await behind('loopback');
    expect(await tries(60, (at) => `198.51.100.${at}, 203.0.113.9`)).toEqual(new Set([404]));
    expect(await tries(1, () => '198.51.100.250, 203.0.113.9')).toEqual(new Set([429]));
  });

  test.each([
    ['no proxy is trusted', undefined],
    ['it comes from another address', '10.0.0.0/8'],
  ])('the header is not read where %s', async (_, trust) => {
    await behind(trust);
    api.address = trust === undefined ? '203.0.113.77' : '203.0.113.78';
    expect(await tries(60, (at) => `198.51.100.${at}`)).toEqual(new Set([404]));
    expect(await tries(1, () => '198.51.100.251')).toEqual(new Set([429]));
  });
});

/** Where the tries of that name are counted. */
function countOf(name: string): string {
  return `${api.muster.queues.prefix}:tries:${createHash('sha256').update(name).digest('base64url')}`;
}

test('a name is shut out for an hour after 300 tries, from however many addresses', async () => {
  await behind();
  await addUser(api.context, { login: 'ada', role: 'operator', by: 'test' });
  const { redis } = api.muster.queues;
  // A password takes some 0.3 s to look at: the tries of the hour before are counted by hand.
  await redis.set(countOf('account ada'), 300, 'PX', 3_600_000);
  const answer = await api.ask(undefined, 'POST', 'session', { login: 'ADA', password: 'x' });
  expect(answer.statusCode).toBe(429);
  expect(Number(answer.headers['retry-after'])).toBeGreaterThan(3_500);
});

describe('a count of tries', () => {
  const ip = '203.0.113.80';
  const key = () => countOf(`address ${ip}`);

  test('that ran out while a password was looked at is not begun again by taking the try back', async () => {
    const { redis } = api.muster.queues;
    const right = await countLogIn(api.context, { ip });
    await redis.del(key());
    await right();
    expect(await redis.exists(key())).toBe(0);
  });

  test('that would never end is given its end by the next try', async () => {
    const { redis } = api.muster.queues;
    await redis.set(key(), 61);
    await expect(countLogIn(api.context, { ip })).rejects.toMatchObject({ status: 429 });
    const left = await redis.pttl(key());
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThanOrEqual(60_000);
  });
});
