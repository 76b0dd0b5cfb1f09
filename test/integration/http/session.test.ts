import { beforeAll, describe, expect, test } from 'vitest';
import { openSession } from '../../../src/store/sessions.ts';
import { addUser, firstLink, revokeUser } from '../../../src/store/users.ts';
import { answered, useApi } from './asking.ts';

const api = useApi();
const PASSWORD = 'correct horse battery';

interface LoggedIn {
  readonly cookie: string;
  readonly csrf: string;
}

const browser = { 'sec-fetch-site': 'same-origin' };

async function logIn(login: string, password = PASSWORD, headers: Record<string, string> = {}): Promise<LoggedIn> {
  const answer = answered(
    200,
    await api.ask(undefined, 'POST', 'session', { login, password }, { ...browser, ...headers }),
  );
  const [cookie] = answer.cookies as { name: string; value: string; httpOnly?: boolean; sameSite?: string }[];
  expect(cookie).toMatchObject({ name: 'muster_session', httpOnly: true, sameSite: 'Strict' });
  return { cookie: `muster_session=${cookie?.value}`, csrf: answer.json<{ csrfToken: string }>().csrfToken };
}

const asBrowser = ({ cookie, csrf }: LoggedIn, withToken = true): Record<string, string> => ({
  ...browser,
  cookie,
  ...(withToken && { 'x-csrf-token': csrf }),
});

/** A session of a new user, without the cost of a password. */
async function sessionOf(login: string): Promise<LoggedIn> {
  const user = await addUser(api.context, { login, role: 'administrator', by: 'test' });
  const { token, session } = await openSession(api.context, user, { method: 'password' });
  return { cookie: `muster_session=${token}`, csrf: session.csrf };
}

describe('the first administrator', () => {
  let token = '';
  beforeAll(async () => {
    token = (await firstLink(api.context)) ?? '';
  });

  test('is made by a one-time link, once', async () => {
    expect(token).toMatch(/^[A-Za-z0-9_-]{43}$/);
    answered(422, await api.ask(undefined, 'POST', 'password', { token, login: 'Ada@example.org', password: 'short' }));
    answered(
      200,
      await api.ask(undefined, 'POST', 'password', { token, login: 'Ada@example.org', password: PASSWORD }),
    );
    const again = { token, login: 'eve', password: PASSWORD };
    expect(answered(404, await api.ask(undefined, 'POST', 'password', again)).json()).toMatchObject({
      detail: 'The link was used, or is too old; nothing was changed. Ask for a new one.',
    });
    expect(await firstLink(api.context)).toBeUndefined();
    await logIn('ada@EXAMPLE.org');
  });

  test('a link that was never given makes nobody', async () => {
    const answer = answered(
      404,
      await api.ask(undefined, 'POST', 'password', { token: 'x'.repeat(43), login: 'eve', password: PASSWORD }),
    );
    expect(answer.headers['set-cookie']).toBeUndefined();
  });

  test('its link and the password are nowhere in the store', async () => {
    const stored = JSON.stringify(
      await Promise.all([
        api.muster.store.users.find().toArray(),
        api.muster.store.links.find().toArray(),
        api.muster.store.sessions.find().toArray(),
      ]),
    );
    expect(stored).not.toContain(PASSWORD);
    expect(stored).not.toContain(token);
    expect(stored).toMatch(/scrypt\$131072\$8\$1\$/);
  });
});

describe('a session', () => {
  test('reads with its cookie, and writes with its token alone', async () => {
    const me = await logIn('ada@example.org');
    expect(
      answered(200, await api.ask(undefined, 'GET', 'session', undefined, asBrowser(me, false))).json(),
    ).toMatchObject({ login: 'ada@example.org', role: 'administrator', csrfToken: me.csrf });
    answered(403, await api.ask(undefined, 'POST', 'groups', { name: 'x' }, asBrowser(me, false)));
    answered(
      403,
      await api.ask(undefined, 'POST', 'groups', { name: 'x' }, { ...asBrowser(me), 'x-csrf-token': 'wrong' }),
    );
    expect(
      answered(201, await api.ask(undefined, 'POST', 'groups', { name: 'x' }, asBrowser(me))).json(),
    ).toMatchObject({ name: 'x' });
  });

  test('takes no write that another site sends, log-in included', async () => {
    const me = await logIn('ada@example.org');
    const crossed = { 'sec-fetch-site': 'cross-site' };
    answered(403, await api.ask(undefined, 'POST', 'groups', { name: 'y' }, { ...asBrowser(me), ...crossed }));
    expect(
      (await api.ask(undefined, 'POST', 'session', { login: 'ada@example.org', password: PASSWORD }, crossed))
        .statusCode,
    ).toBe(403);
  });

  test('is rotated at log-in: the cookie from before is worth nothing after', async () => {
    const before = await logIn('ada@example.org');
    const after = await logIn('ada@example.org', PASSWORD, { cookie: before.cookie });
    expect(after.cookie).not.toBe(before.cookie);
    answered(401, await api.ask(undefined, 'GET', 'session', undefined, asBrowser(before)));
    expect(answered(200, await api.ask(undefined, 'GET', 'session', undefined, asBrowser(after))).json()).toMatchObject(
      { login: 'ada@example.org' },
    );
  });

  test('a cookie that a stranger chose is never taken over', async () => {
    const chosen = `muster_session=${'A'.repeat(43)}`;
    const me = await logIn('ada@example.org', PASSWORD, { cookie: chosen });
    expect(me.cookie).not.toBe(chosen);
    answered(401, await api.ask(undefined, 'GET', 'session', undefined, { cookie: chosen }));
  });

  test('ends after 30 minutes without use, and after 12 hours in any case', async () => {
    const { clock } = api.muster;
    const start = clock.now();
    const idle = await logIn('ada@example.org');
    clock.forward(29 * 60_000);
    answered(200, await api.ask(undefined, 'GET', 'session', undefined, asBrowser(idle)));
    clock.forward(29 * 60_000);
    answered(200, await api.ask(undefined, 'GET', 'session', undefined, asBrowser(idle)));
    clock.forward(30 * 60_000);
    expect((await api.ask(undefined, 'GET', 'session', undefined, asBrowser(idle))).statusCode).toBe(401);
    const busy = await logIn('ada@example.org');
    const began = clock.now().getTime();
    let asked = 200;
    while (asked === 200 && clock.now().getTime() - began < 24 * 3_600_000) {
      clock.forward(20 * 60_000);
      asked = (await api.ask(undefined, 'GET', 'session', undefined, asBrowser(busy))).statusCode;
    }
    expect(clock.now().getTime() - began).toBe(12 * 3_600_000);
    expect(asked).toBe(401);
    clock.set(start);
  });

  test('ends with log-out, and with the user', async () => {
    const one = await sessionOf('bob');
    answered(204, await api.ask(undefined, 'DELETE', 'session', undefined, asBrowser(one)));
    answered(401, await api.ask(undefined, 'GET', 'session', undefined, asBrowser(one)));
    const two = await sessionOf('bea');
    await revokeUser(api.context, 'bea', 'test');
    expect((await api.ask(undefined, 'GET', 'session', undefined, asBrowser(two))).statusCode).toBe(401);
  });

  test('a changed role counts from the next request on', async () => {
    const me = await sessionOf('cas');
    answered(200, await api.ask(undefined, 'GET', 'users', undefined, asBrowser(me)));
    answered(200, await api.ask(await api.key('administrator'), 'PATCH', 'users/cas', { role: 'operator' }));
    expect((await api.ask(undefined, 'GET', 'users', undefined, asBrowser(me))).statusCode).toBe(404);
  });
});

describe('log-in', () => {
  test('says the same of a wrong password and of nobody', async () => {
    const wrong = await api.ask(undefined, 'POST', 'session', { login: 'ada@example.org', password: 'wrong password' });
    const nobody = await api.ask(undefined, 'POST', 'session', { login: 'nobody', password: 'wrong password' });
    expect([wrong.statusCode, wrong.body]).toEqual([401, nobody.body]);
  });

  test('is refused after ten tries of one name, and others still log in', async () => {
    api.address = '10.0.0.2';
    const statuses: number[] = [];
    for (let at = 0; at < 11; at += 1)
      statuses.push((await api.ask(undefined, 'POST', 'session', { login: 'dee', password: 'no' })).statusCode);
    expect(statuses.slice(0, 10).every((status) => status === 401)).toBe(true);
    expect(statuses[10]).toBe(429);
    const limited = answered(429, await api.ask(undefined, 'POST', 'session', { login: 'DEE', password: PASSWORD }));
    expect(Number(limited.headers['retry-after'])).toBeGreaterThan(0);
    expect((await api.ask(undefined, 'POST', 'session', { login: 'nobody', password: 'no' })).statusCode).toBe(401);
    api.address = '127.0.0.1';
  });
});

describe('API keys', () => {
  test('are shown once, and stored as a hash', async () => {
    const admin = await api.key('administrator');
    const made = answered(
      201,
      await api.ask(admin, 'POST', 'keys', { name: 'nightly', role: 'operator', scopes: ['runs:write'] }),
    ).json<{ token: string; id: string }>();
    expect(made.token).toMatch(/^muster_k[0-9a-f]{12}_[A-Za-z0-9_-]{43}$/);
    const listed = answered(200, await api.ask(admin, 'GET', 'keys?limit=1000')).body;
    expect(listed).toContain('nightly');
    expect(listed).not.toContain(made.token.split('_')[2]);
    expect(JSON.stringify(await api.muster.store.keys.find().toArray())).not.toContain(made.token.slice(20));
  });

  test('do what their scopes say, and nothing else', async () => {
    const key = await api.key('administrator', ['runs:read']);
    answered(200, await api.ask(key, 'GET', 'runs'));
    answered(403, await api.ask(key, 'GET', 'groups'));
    expect(answered(403, await api.ask(key, 'POST', 'runs/r1/approve')).json()).toMatchObject({
      type: 'urn:muster:scope',
    });
    const reader = await api.key('administrator', ['read']);
    answered(200, await api.ask(reader, 'GET', 'groups'));
    answered(403, await api.ask(reader, 'GET', 'users'));
    answered(403, await api.ask(reader, 'POST', 'groups', { name: 'z' }));
  });

  test('end when they are revoked, when their time is over, and with their user', async () => {
    const admin = await api.key('administrator');
    const { token, id } = answered(
      201,
      await api.ask(admin, 'POST', 'keys', {
        name: 'short',
        role: 'operator',
        expiresAt: new Date(api.muster.clock.now().getTime() + 1000).toISOString(),
      }),
    ).json<{ token: string; id: string }>();
    answered(200, await api.ask(token, 'GET', 'runs'));
    const start = api.muster.clock.now();
    api.muster.clock.forward(1000);
    answered(401, await api.ask(token, 'GET', 'runs'));
    api.muster.clock.set(start);
    answered(204, await api.ask(admin, 'DELETE', `keys/${id}`));
    answered(401, await api.ask(token, 'GET', 'runs'));
    const mine = await api.keyOf('operator', 'eef');
    answered(200, await api.ask(mine, 'GET', 'runs'));
    await revokeUser(api.context, 'eef', 'test');
    expect((await api.ask(mine, 'GET', 'runs')).statusCode).toBe(401);
  });

  test('nobody takes the last administrator away', async () => {
    const admin = await api.key('administrator');
    for (const login of ['cas', 'bob']) await api.ask(admin, 'DELETE', `users/${login}`);
    answered(422, await api.ask(admin, 'DELETE', 'users/ada@example.org'));
    answered(422, await api.ask(admin, 'PATCH', 'users/ada@example.org', { role: 'operator' }));
    expect(answered(200, await api.ask(admin, 'GET', 'users')).json()).toMatchObject({
      items: expect.arrayContaining([expect.objectContaining({ login: 'ada@example.org', role: 'administrator' })]),
    });
  });
});
