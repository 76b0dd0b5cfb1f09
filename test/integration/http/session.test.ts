import { beforeAll, describe, expect, test, vi } from 'vitest';
import type { KeyDoc, SessionDoc } from '../../../src/store/models.ts';
import { openSession } from '../../../src/store/sessions.ts';
import { addUser, firstLink, linkFor, revokeUser, useLink } from '../../../src/store/users.ts';
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

  test('no session, key or link that came in after the revocation opens anything when the name is given anew', async () => {
    const { store } = api.muster;
    const session = await sessionOf('kim');
    const key = await api.keyOf('administrator', 'kim');
    const token = await linkFor(api.context, 'kim', 'test');
    const opened = (await store.sessions.findOne({ user: 'kim' })) as SessionDoc;
    const [made, link] = [await store.keys.findOne({ user: 'kim' }), await store.links.findOne({ user: 'kim' })];
    await revokeUser(api.context, 'kim', 'test');
    await store.sessions.insertOne(opened);
    await store.links.insertOne(link as never);
    await store.keys.replaceOne({ _id: made?._id as string }, made as KeyDoc);
    await addUser(api.context, { login: 'kim', role: 'operator', by: 'test' });
    answered(401, await api.ask(undefined, 'GET', 'session', undefined, asBrowser(session)));
    answered(401, await api.ask(key, 'GET', 'runs'));
    answered(404, await api.ask(undefined, 'POST', 'password', { token, password: PASSWORD }));
    expect(await store.sessions.countDocuments({ user: 'kim' })).toBe(0);
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

  test.each([
    ['the password is set anew', (token: string) => useLink(api.context, { token, password: `${PASSWORD}, anew` })],
    ['access is taken away', () => revokeUser(api.context, 'mo', 'test')],
  ])('opens no session where %s while the password is checked', async (_, happens) => {
    const { users, sessions } = api.muster.store;
    await addUser(api.context, { login: 'mo', role: 'operator', by: 'test' }).catch(() => undefined);
    const link = () => linkFor(api.context, 'mo', 'test');
    await useLink(api.context, { token: await link(), password: PASSWORD });
    const token = await link();
    const findOne = users.findOne.bind(users);
    vi.spyOn(users, 'findOne').mockImplementationOnce(async (...asked: Parameters<typeof findOne>) => {
      const found = await findOne(...asked);
      await happens(token);
      return found;
    });
    answered(401, await api.ask(undefined, 'POST', 'session', { login: 'mo', password: PASSWORD }));
    expect(await sessions.countDocuments({ user: 'mo' })).toBe(0);
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

  test('that may not read users are told no names of those who have a subenvironment, and do not take it away from them', async () => {
    const admin = await api.key('administrator');
    const [reader, writer] = [
      await api.key('administrator', ['read']),
      await api.key('administrator', ['groups:write']),
    ];
    answered(201, await api.ask(admin, 'POST', 'subenvironments', { name: 'west' }));
    answered(201, await api.ask(admin, 'POST', 'users', { login: 'wim', role: 'reseller', subenvironments: ['west'] }));
    const west = answered(200, await api.ask(admin, 'GET', 'subenvironments/west')).json<object>();
    expect(west).toMatchObject({ users: ['wim'], createdBy: expect.stringMatching(/^key:/) });
    const hidden = { ...west, users: [], createdBy: null };
    for (const key of [reader, writer]) {
      expect(answered(200, await api.ask(key, 'GET', 'subenvironments/west')).json()).toEqual(hidden);
      const { items } = answered(200, await api.ask(key, 'GET', 'subenvironments')).json<{
        items: { name: string }[];
      }>();
      expect(items.find(({ name }) => name === 'west')).toEqual(hidden);
    }
    answered(201, await api.ask(admin, 'POST', 'groups', { name: 'Western', externalId: 'western' }));
    const link = { groups: ['western'] };
    const linked = answered(
      200,
      await api.ask(await api.key('administrator', ['write']), 'POST', 'subenvironments/west/link', link),
    );
    expect(linked.json()).toEqual({ ...hidden, ...link });
    const refused = answered(403, await api.ask(writer, 'DELETE', 'subenvironments/west'));
    expect(refused.json()).toMatchObject({ type: 'urn:muster:scope', detail: expect.stringContaining('users:write') });
    expect(answered(200, await api.ask(admin, 'GET', 'subenvironments/west')).json()).toEqual({ ...west, ...link });
    answered(200, await api.ask(admin, 'DELETE', 'subenvironments/west'));
    answered(404, await api.ask(admin, 'GET', 'subenvironments/west'));
  });

  test('that are edited do from the next request on what they then may, and until when', async () => {
    const admin = await api.key('administrator');
    const body = { name: 'edited', role: 'operator', scopes: ['runs:read'] };
    const { token, id } = answered(201, await api.ask(admin, 'POST', 'keys', body)).json<{
      token: string;
      id: string;
    }>();
    const statuses = async () =>
      (await Promise.all(['runs', 'feeds'].map((path) => api.ask(token, 'GET', path)))).map((one) => one.statusCode);
    const edit = (set: object, key = 'edited') => api.ask(admin, 'PATCH', `keys/${key}`, set);
    expect(await statuses()).toEqual([200, 403]);
    expect(answered(200, await edit({ scopes: ['feeds:read', 'feeds:read'] })).json()).toMatchObject({
      id,
      scopes: ['feeds:read'],
      expiresAt: null,
    });
    expect(await statuses()).toEqual([403, 200]);
    const { clock } = api.muster;
    const start = clock.now();
    const expiresAt = new Date(start.getTime() + 1000).toISOString();
    expect(answered(200, await edit({ expiresAt }, id)).json()).toMatchObject({ scopes: ['feeds:read'], expiresAt });
    clock.forward(1000);
    expect(await statuses()).toEqual([401, 401]);
    expect(answered(200, await edit({ expiresAt: null })).json()).toMatchObject({ expiresAt: null });
    expect(await statuses()).toEqual([403, 200]);
    answered(422, await edit({ scopes: ['runs:read'], expiresAt: start.toISOString() }));
    for (const wrong of [{ scopes: [] }, { scopes: ['everything'] }, { expiresAt: 'never' }, { role: 'administrator' }])
      answered(400, await edit(wrong));
    expect(await statuses()).toEqual([403, 200]);
    clock.set(start);
    answered(404, await edit({ expiresAt: null }, 'no-such-key'));
    answered(
      403,
      await api.ask(await api.key('administrator', ['write']), 'PATCH', `keys/${id}`, { scopes: ['write'] }),
    );
    answered(204, await api.ask(admin, 'DELETE', `keys/${id}`));
    answered(404, await edit({ expiresAt: null }, id));
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
