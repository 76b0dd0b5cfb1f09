import { beforeAll, describe, expect, test } from 'vitest';
import { verify } from '../../../src/run/verify.ts';
import type { AuditView } from '../../../src/run/views/auditExport.ts';
import { sealAudit } from '../../../src/store/auditChain.ts';
import { auditFailedLogIns } from '../../../src/store/failedLogIns.ts';
import { answered, useApi } from './asking.ts';

const api = useApi();
let admin = '';
const PASSWORD = 'correct horse battery staple';
const STRETCH = 600_000;

const audit = async (key: string) =>
  answered(200, await api.ask(key, 'GET', 'exports/audit'))
    .body.trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as AuditView);
/** In the order in which it was done, since the clock stands still. */
const access = async () =>
  (await audit(admin))
    .filter(({ step }) => step === 'access')
    .sort((a, b) => Number(a.run.slice(1)) - Number(b.run.slice(1)));
const logIn = (login: string, password: string) => api.ask(undefined, 'POST', 'session', { login, password });

beforeAll(async () => {
  admin = await api.key('administrator');
});

describe('R28: the audit tells of access', () => {
  test('users, links, passwords, log-in and log-out: by whom, before and after', async () => {
    const added = await api.ask(admin, 'POST', 'users', { login: 'Ada@example.org', role: 'operator' });
    const { link: token } = answered(201, added).json<{ link: string }>();
    const set = answered(200, await api.ask(undefined, 'POST', 'password', { token, password: PASSWORD }));
    answered(200, await api.ask(admin, 'PATCH', 'users/ada@example.org', { role: 'instructor' }));
    answered(200, await api.ask(admin, 'PATCH', 'users/ada@example.org', { role: 'instructor' }));
    const open = answered(200, await logIn('ada@example.org', PASSWORD));
    const cookie = `muster_session=${open.cookies[0]?.value}`;
    const out = { cookie, 'x-csrf-token': open.json<{ csrfToken: string }>().csrfToken };
    answered(204, await api.ask(undefined, 'DELETE', 'session', undefined, out));
    answered(204, await api.ask(admin, 'DELETE', 'users/ada@example.org'));
    const user = 'ada@example.org';
    const [was, is] = ['operator', 'instructor'].map((role) => ({
      name: 'Ada@example.org',
      role,
      subenvironments: [],
    }));
    const entries = (await access()).filter(({ detail, by }) => JSON.stringify([detail, by]).includes(user));
    expect(entries.map(({ by, why, detail }) => [by, why, detail])).toEqual([
      ['key:test-1', 'users add', { user, before: null, after: was }],
      ['key:test-1', 'users link', { user }],
      [`user:${user}`, 'users password', { user }],
      [`user:${user}`, 'log-in', { method: 'link', role: 'operator' }],
      ['key:test-1', 'users edit', { user, before: was, after: is }],
      [`user:${user}`, 'log-in', { method: 'password', role: 'instructor' }],
      [`user:${user}`, 'log-out', {}],
      ['key:test-1', 'users revoke', { user, before: is, after: null, keys: [] }],
    ]);
    const everything = JSON.stringify(await audit(admin));
    for (const secret of [token, PASSWORD, cookie.slice(15), String(set.cookies[0]?.value)])
      expect(everything).not.toContain(secret);
  });

  test('keys: made, edited and ended, without the key; an edit that changes nothing is none', async () => {
    const made = answered(201, await api.ask(admin, 'POST', 'keys', { name: 'nightly', role: 'operator' }));
    const { token, id: key } = made.json<{ token: string; id: string }>();
    const expiresAt = '2027-01-31T00:00:00.000Z';
    for (const set of [{ scopes: ['runs:write'], expiresAt }, { scopes: ['runs:write'] }, {}, { expiresAt: null }])
      answered(200, await api.ask(admin, 'PATCH', 'keys/nightly', set));
    answered(204, await api.ask(admin, 'DELETE', 'keys/nightly'));
    const was = { name: 'nightly', role: 'operator', scopes: ['read'] };
    const is = { ...was, scopes: ['runs:write'] };
    const entries = (await access()).filter(({ detail }) => (detail as { key?: string }).key === key);
    expect(entries.map(({ by, why, detail }) => [by, why, detail])).toEqual([
      ['key:test-1', 'keys add', { key, after: was }],
      ['key:test-1', 'keys edit', { key, before: was, after: { ...is, expiresAt } }],
      ['key:test-1', 'keys edit', { key, before: { ...is, expiresAt }, after: is }],
      ['key:test-1', 'keys revoke', { key, before: is, after: null }],
    ]);
    expect(JSON.stringify(await audit(admin))).not.toContain(token.slice(-20));
  });

  test('failed log-ins: one entry for ten minutes, whatever was tried; names of nobody are not kept', async () => {
    const { clock, store } = api.muster;
    answered(201, await api.ask(admin, 'POST', 'users', { login: 'bea', role: 'operator' }));
    clock.forward(STRETCH);
    for (const [address, login] of ['bea', 'BEA', 'my-passw0rd', 'eve'].entries()) {
      api.address = `10.1.0.${address}`;
      answered(401, await logIn(login, 'wrong'));
    }
    answered(404, await api.ask(undefined, 'POST', 'password', { token: 'x'.repeat(43), password: PASSWORD }));
    const failed = async () => (await access()).filter(({ why }) => why === 'log-ins failed');
    expect(await failed()).toEqual([]);
    clock.forward(2 * STRETCH);
    await Promise.all([auditFailedLogIns(api.context), auditFailedLogIns(api.context)]);
    await expect.poll(() => store.failedLogIns.countDocuments()).toBe(0);
    expect((await failed()).map(({ detail }) => detail)).toEqual([
      { since: expect.any(String), until: expect.any(String), users: [{ user: 'bea', count: 2 }], others: 3 },
    ]);
    expect(JSON.stringify(await audit(admin))).not.toContain('my-passw0rd');
  });

  test('it is in the chain: an entry that is changed afterwards is found', async () => {
    const { store } = api.muster;
    while ((await sealAudit(store)) > 0);
    expect((await verify(api.context, { repair: false })).audit.breaks).toEqual([]);
    const entry = await store.audit.findOne({ why: 'users edit' });
    await store.audit.updateOne({ _id: entry?._id as never }, { $set: { 'detail.after.role': 'operator' } });
    expect((await verify(api.context, { repair: false })).audit.breaks).toMatchObject([{ what: 'changed' }]);
    await store.audit.updateOne({ _id: entry?._id as never }, { $set: { detail: entry?.detail } });
  });

  test('R29: not for operators, nor for keys that may not read users', async () => {
    const lines = await audit(await api.key('operator'));
    expect(lines.filter(({ step }) => step === 'access')).toEqual([]);
    expect(JSON.stringify(await audit(await api.key('administrator', ['read'])))).not.toContain('ada@example.org');
  });
});

describe('users', () => {
  test('two edits at once both stand: a new name does not bring an old role back', async () => {
    answered(201, await api.ask(admin, 'POST', 'users', { login: 'root', role: 'administrator' }));
    for (let round = 0; round < 5; round += 1) {
      const login = `two-${round}`;
      answered(201, await api.ask(admin, 'POST', 'users', { login, role: 'administrator' }));
      const edits = [{ role: 'instructor' }, ...Array.from({ length: 4 }, (_, at) => ({ name: `Name ${at}` }))];
      for (const answer of await Promise.all(edits.map((edit) => api.ask(admin, 'PATCH', `users/${login}`, edit))))
        answered(200, answer);
      const user = answered(200, await api.ask(admin, 'GET', `users/${login}`)).json<{ role: string; name: string }>();
      expect(user.role).toBe('instructor');
      expect(user.name).toMatch(/^Name /);
    }
  });

  test('a revoked name is given anew, without the password and identity of before', async () => {
    const body = { login: 'cas', role: 'operator' };
    const { link: token } = answered(201, await api.ask(admin, 'POST', 'users', body)).json<{ link: string }>();
    answered(200, await api.ask(undefined, 'POST', 'password', { token, password: PASSWORD }));
    answered(422, await api.ask(admin, 'POST', 'users', body));
    answered(204, await api.ask(admin, 'DELETE', 'users/cas'));
    expect(answered(201, await api.ask(admin, 'POST', 'users', { ...body, role: 'instructor' })).json()).toMatchObject({
      role: 'instructor',
      active: false,
      revokedAt: null,
    });
    answered(401, await logIn('cas', PASSWORD));
  });

  test('subenvironments that nobody made are given to nobody', async () => {
    const reseller = { login: 'rik', role: 'reseller', subenvironments: ['nort'] };
    expect(answered(422, await api.ask(admin, 'POST', 'users', reseller)).json()).toMatchObject({
      detail: expect.stringContaining('muster subenvironments create "nort"'),
    });
    answered(404, await api.ask(admin, 'GET', 'users/rik'));
    for (const [method, path, body] of [
      ['POST', 'groups', { name: 'x', subenvironments: ['nort'] }],
      ['POST', 'courses', { name: 'x', subenvironment: 'nort' }],
    ] as const)
      answered(409, await api.ask(admin, method, path, body));
    await api.subenvironments('north');
    const made = answered(201, await api.ask(admin, 'POST', 'groups', { name: 'x', subenvironments: [' north '] }));
    expect(made.json()).toMatchObject({ subenvironments: ['north'] });
    const path = `groups/${made.json<{ id: string }>().id}`;
    answered(409, await api.ask(admin, 'PATCH', path, { subenvironments: ['north', 'nort'] }));
    answered(200, await api.ask(admin, 'PATCH', path, { subenvironments: ['north'] }));
  });

  test('subenvironments are for resellers: an edit that gives them to others is refused whole', async () => {
    await api.subenvironments('east');
    const subenvironments = ['east'];
    answered(201, await api.ask(admin, 'POST', 'users', { login: 'olga', role: 'operator' }));
    answered(201, await api.ask(admin, 'POST', 'users', { login: 'rob', role: 'reseller', subenvironments }));
    for (const [login, set] of [
      ['olga', { name: 'Other', subenvironments }],
      ['rob', { role: 'operator', subenvironments }],
    ] as const) {
      const before = answered(200, await api.ask(admin, 'GET', `users/${login}`));
      const refused = answered(422, await api.ask(admin, 'PATCH', `users/${login}`, set));
      expect(refused.body).toContain('for resellers alone');
      expect(answered(200, await api.ask(admin, 'GET', `users/${login}`)).json()).toEqual(before.json());
    }
    answered(200, await api.ask(admin, 'PATCH', 'users/olga', { subenvironments: [] }));
    answered(200, await api.ask(admin, 'PATCH', 'users/olga', { role: 'reseller', subenvironments }));
    const back = answered(200, await api.ask(admin, 'PATCH', 'users/olga', { role: 'operator' }));
    expect(back.json()).toMatchObject({ role: 'operator', subenvironments: [] });
  });

  test('a secret is shown once, also under an Idempotency-Key, and is nowhere in the store', async () => {
    for (const [path, body] of [
      ['users', { login: 'dot', role: 'operator' }],
      ['users/dot/link', undefined],
      ['keys', { name: 'dot', role: 'operator' }],
    ] as const) {
      const ask = () => api.ask(admin, 'POST', path, body, { 'idempotency-key': path });
      const { link, token } = (await ask()).json<{ link?: string; token?: string }>();
      const secret = String(link ?? token);
      expect(secret.length).toBeGreaterThan(40);
      expect(answered(409, await ask()).json()).toMatchObject({ type: 'urn:muster:shown-once' });
      for (const stored of await api.muster.store.idempotency.find().toArray())
        expect(JSON.stringify(stored)).not.toContain(secret);
    }
  });

  test('a key that is over already is not made', async () => {
    const key = { name: 'over', role: 'operator', expiresAt: '2020-01-01T00:00:00Z' };
    expect((await api.ask(admin, 'POST', 'keys', key)).statusCode).toBe(422);
  });
});
