import { beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { ROLES, type Role } from '../../../src/domain/role.ts';
import { buildServer } from '../../../src/http/server.ts';
import type { OidcSettings } from '../../../src/settings/oidc.ts';
import { addUser, editUser, firstLink, readUser, revokeUser } from '../../../src/store/users.ts';
import { answered, useApi } from './asking.ts';
import { type Account, CLIENT, MUSTER, useProvider } from './provider.ts';

const provider = useProvider();
const api = useApi();
const roles = {
  claim: 'groups',
  of: new Map<string, Role>([
    ['Muster Admins', 'administrator'],
    ['Ops', 'operator'],
  ]),
};

async function musterWith(set: Partial<OidcSettings> = {}): Promise<void> {
  const oidc: OidcSettings = {
    issuer: new URL(provider.issuer),
    clientId: CLIENT.id,
    clientSecret: CLIENT.secret,
    scope: 'openid email profile',
    redirectUri: `${MUSTER}/api/v1/session/oidc/callback`,
    ...set,
  };
  await api.app.close();
  api.app = await buildServer({ ...api.context, oidc });
}

/** A browser: cookies of both sites, and redirects followed as a person's would be. */
class Browser {
  readonly #jars = new Map<string, Map<string, string>>();

  cookies(site: string): string {
    return [...(this.#jars.get(site) ?? [])].map(([name, value]) => `${name}=${value}`).join('; ');
  }

  #keep(site: string, given: readonly string[]): void {
    const jar = this.#jars.get(site) ?? new Map<string, string>();
    this.#jars.set(site, jar);
    for (const line of given) {
      const [pair = ''] = line.split(';');
      const at = pair.indexOf('=');
      jar.set(pair.slice(0, at), pair.slice(at + 1));
    }
  }

  /** Asks Muster. */
  async muster(path: string, headers: Record<string, string> = {}) {
    const answer = await api.ask(undefined, 'GET', path, undefined, { cookie: this.cookies('muster'), ...headers });
    this.#keep('muster', [answer.headers['set-cookie'] ?? []].flat());
    return answer;
  }

  /** From the log-in page of the provider to the address with which it sends the browser back. */
  async provider(url: string): Promise<string> {
    for (let at = new URL(url); ; ) {
      if (at.origin === MUSTER) return at.pathname + at.search;
      const answer = await fetch(at, { redirect: 'manual', headers: { cookie: this.cookies('provider') } });
      this.#keep('provider', answer.headers.getSetCookie());
      const next = answer.headers.get('location');
      if (next === null) throw new Error(`The provider answered ${answer.status}: ${await answer.text()}`);
      at = new URL(next, at);
    }
  }

  async logIn(to = '/groups') {
    const begun = answered(302, await this.muster(`session/oidc?to=${encodeURIComponent(to)}`));
    return this.muster(await this.provider(String(begun.headers.location)));
  }

  session() {
    return this.muster('session');
  }
}

async function person(account: string, about: Account): Promise<Browser> {
  provider.accounts.set(account, about);
  provider.account = account;
  return new Browser();
}

beforeAll(() => musterWith());
beforeEach(() => {
  provider.refuses = false;
});

describe('OIDC log-in', () => {
  test('opens a session for a user whose login name is the verified e-mail address', async () => {
    await addUser(api.context, { login: 'Ada@example.org', role: 'operator', by: 'test' });
    const browser = await person('ada', { email: 'ADA@example.org', email_verified: true });
    const page = answered(200, await browser.logIn('/groups?parent=all'));
    expect(page.headers['content-type']).toContain('text/html');
    expect(page.body).toContain('content="0;url=/groups?parent=all"');
    expect(page.cookies).toEqual(
      expect.arrayContaining([expect.objectContaining({ name: 'muster_session', httpOnly: true, sameSite: 'Strict' })]),
    );
    expect(answered(200, await browser.session()).json()).toMatchObject({ login: 'ada@example.org', role: 'operator' });
  });

  test('asks with PKCE, state and nonce, each new, and keeps them in a cookie that scripts do not see', async () => {
    const asked = await Promise.all(
      [1, 2].map(async () => {
        const answer = answered(302, await new Browser().muster('session/oidc'));
        expect(answer.cookies).toMatchObject([{ name: 'muster_oidc', httpOnly: true, sameSite: 'Lax', maxAge: 600 }]);
        return new URL(String(answer.headers.location)).searchParams;
      }),
    );
    for (const name of ['state', 'nonce', 'code_challenge']) {
      expect(asked[0]?.get(name)).toMatch(/^[\w-]{43}$/);
      expect(asked[0]?.get(name)).not.toBe(asked[1]?.get(name));
    }
    expect(asked[0]?.get('code_challenge_method')).toBe('S256');
    expect(asked[0]?.get('redirect_uri')).toBe(`${MUSTER}/api/v1/session/oidc/callback`);
  });

  test('ends the session that the browser had, and log-out ends the new one', async () => {
    const browser = await person('ada', { email: 'ada@example.org', email_verified: true });
    answered(200, await browser.logIn());
    const before = browser.cookies('muster');
    answered(200, await browser.logIn());
    expect(browser.cookies('muster')).not.toBe(before);
    answered(401, await api.ask(undefined, 'GET', 'session', undefined, { cookie: before }));
    const { csrfToken } = (await browser.session()).json<{ csrfToken: string }>();
    answered(
      204,
      await api.ask(undefined, 'DELETE', 'session', undefined, {
        cookie: browser.cookies('muster'),
        'x-csrf-token': csrfToken,
      }),
    );
    answered(401, await browser.session());
  });

  test('says the same to whoever is not let in, known or not, and opens nothing', async () => {
    await addUser(api.context, { login: 'rik@example.org', role: 'operator', by: 'test' });
    await revokeUser(api.context, 'rik@example.org', 'test');
    await addUser(api.context, { login: 'eve@example.org', role: 'operator', by: 'test' });
    const answers = [];
    for (const [account, about] of [
      ['stranger', { email: 'stranger@example.org', email_verified: true }],
      ['unverified', { email: 'eve@example.org', email_verified: false }],
      ['unsaid', { email: 'eve@example.org' }],
      ['no-mail', {}],
      ['revoked', { email: 'rik@example.org', email_verified: true }],
      // Another person to whom the provider gave the address of somebody who has logged in before.
      ['second-ada', { email: 'ada@example.org', email_verified: true }],
    ] as const) {
      const browser = await person(account, about);
      const answer = await browser.logIn();
      answers.push({ account, status: answer.statusCode, body: answer.body });
      answered(401, await browser.session());
    }
    for (const { account, status, body } of answers)
      expect({ account, status, body }).toEqual({ account, status: 403, body: answers[0]?.body });
    expect(answers[0]?.body).toContain('urn:muster:oidc-refused');
    const browser = await person('stranger', {});
    provider.refuses = true;
    expect((await browser.logIn()).body).toBe(answers[0]?.body);
  });

  test('people with a browser read a page, and programs a problem document', async () => {
    const browser = await person('stranger', {});
    const begun = answered(302, await browser.muster('session/oidc'));
    const back = await browser.provider(String(begun.headers.location));
    const page = answered(403, await browser.muster(back, { accept: 'text/html,*/*' }));
    expect(page.headers['content-type']).toContain('text/html');
    expect(page.body).toContain('You are not logged in');
    expect(page.body).not.toContain('refresh');
  });

  test('Entra says with xms_edov that an address is verified', async () => {
    await addUser(api.context, { login: 'entra@example.org', role: 'instructor', by: 'test' });
    const browser = await person('entra', { email: 'entra@example.org', xms_edov: true });
    expect(answered(200, await browser.logIn()).body).toContain('You are logged in');
  });

  test('an address in the ID token is verified by what the service says when it is asked, of that address alone', async () => {
    for (const login of ['half@example.org', 'whole@example.org', 'other@example.org'])
      await addUser(api.context, { login, role: 'operator', by: 'test' });
    const idToken = (email: string) => ({ idToken: { email } });
    const whole = await person('whole', {
      ...idToken('whole@example.org'),
      email: 'whole@example.org',
      email_verified: true,
    });
    answered(200, await whole.logIn());
    expect((await whole.session()).json()).toMatchObject({ login: 'whole@example.org' });
    for (const [account, about] of [
      ['half', { email_verified: true }],
      ['half-two', { email: 'other@example.org', email_verified: false }],
      ['half-three', { email: 'stranger@example.org', email_verified: true }],
    ] as const) {
      const half = await person(account, { ...idToken('half@example.org'), ...about });
      answered(403, await half.logIn());
    }
    const other = await person('other', {
      ...idToken('half@example.org'),
      email: 'other@example.org',
      email_verified: true,
    });
    answered(200, await other.logIn());
    expect((await other.session()).json()).toMatchObject({ login: 'other@example.org' });
  });

  test('who is known by the subject is let in though the service does not say of the address that it is verified', async () => {
    const browser = await person('whole', { idToken: { email: 'whole@example.org' }, silent: true });
    answered(200, await browser.logIn());
    expect((await browser.session()).json()).toMatchObject({ login: 'whole@example.org' });
    const stranger = await person('new-half', { idToken: { email: 'half@example.org' }, silent: true });
    answered(403, await stranger.logIn());
  });

  test('an administrator may have the identity forgotten: the next log-in with the address ties anew', async () => {
    const admin = await api.key('administrator');
    const forgotten = answered(200, await api.ask(admin, 'PATCH', 'users/entra@example.org', { identity: null }));
    expect(forgotten.json()).toMatchObject({ identity: null, role: 'instructor' });
    const browser = await person('entra-anew', { email: 'entra@example.org', email_verified: true });
    answered(200, await browser.logIn());
    expect(answered(200, await api.ask(admin, 'GET', 'users')).json()).toMatchObject({
      items: expect.arrayContaining([
        expect.objectContaining({ login: 'entra@example.org', identity: provider.issuer }),
      ]),
    });
    expect(await firstLink(api.context)).toBeUndefined();
  });

  test('the identity counts, not the address, once it is tied to a user', async () => {
    const browser = await person('ada', { email: 'eve@example.org', email_verified: true });
    answered(200, await browser.logIn());
    expect((await browser.session()).json()).toMatchObject({ login: 'ada@example.org' });
  });
});

describe('what is sent back by somebody else than the provider', () => {
  test('no attempt, another state, a used code, or another browser: begin again', async () => {
    const browser = await person('ada', {});
    const expired = async (path: string, of = browser) =>
      expect(answered(400, await of.muster(path)).json()).toMatchObject({ type: 'urn:muster:oidc-expired' });
    await expired('session/oidc/callback?code=x&state=y');
    const begun = answered(302, await browser.muster('session/oidc'));
    const back = await browser.provider(String(begun.headers.location));
    await expired(back, new Browser());
    const cookie = browser.cookies('muster');
    await expired(back.replace(/state=[\w-]+/, 'state=other'));
    answered(200, await browser.muster(back, { cookie }));
    await expired(back, browser);
    const again = await api.ask(undefined, 'GET', back, undefined, { cookie });
    expect(again.json()).toMatchObject({ status: 400, type: 'urn:muster:oidc-expired' });
  });

  test('a code of another attempt (its nonce or verifier differ) opens nothing', async () => {
    const [mine, theirs] = [await person('ada', {}), new Browser()];
    const begun = answered(302, await mine.muster('session/oidc'));
    const back = new URL(await mine.provider(String(begun.headers.location)), MUSTER);
    const other = answered(302, await theirs.muster('session/oidc'));
    const state = new URL(String(other.headers.location)).searchParams.get('state') as string;
    back.searchParams.set('state', state);
    const answer = await theirs.muster(back.pathname + back.search);
    expect(answer.statusCode).toBe(400);
    answered(401, await theirs.session());
  });

  test.each(['//evil.example', '/\\evil.example', 'https://evil.example', 'javascript:alert(1)', '/a\r\nx: y'])(
    'nobody is led to %s',
    async (to) => {
      answered(400, await new Browser().muster(`session/oidc?to=${encodeURIComponent(to)}`));
      const attempt = { state: 's', nonce: 'n', verifier: 'v', to };
      const cookie = `muster_oidc=${Buffer.from(JSON.stringify(attempt)).toString('base64url')}`;
      const back = await api.ask(undefined, 'GET', 'session/oidc/callback?code=c&state=s', undefined, { cookie });
      expect(answered(400, back).json()).toMatchObject({ type: 'urn:muster:oidc-expired' });
    },
  );

  test('an address with markup is text on the page', async () => {
    const browser = await person('ada', {});
    const page = answered(200, await browser.logIn('/"><script>alert(1)</script>'));
    expect(page.body).not.toContain('<script>');
  });
});

describe('a role claim', () => {
  beforeAll(() => musterWith({ roles }));

  test('makes users whom Muster does not know, with the most that it gives, and is followed from then on', async () => {
    const about = { email: "o'brien@example.org", email_verified: true, name: 'Pat O’Brien' };
    const browser = await person('pat', { ...about, groups: ['Ops', 'Muster Admins', 'Canteen'] });
    answered(200, await browser.logIn());
    expect((await browser.session()).json()).toMatchObject({
      login: about.email,
      name: about.name,
      role: 'administrator',
    });
    await addUser(api.context, { login: 'root', role: 'administrator', by: 'test' });
    await person('pat', { ...about, groups: ['Ops'] });
    answered(200, await browser.logIn());
    expect((await browser.session()).json()).toMatchObject({ role: 'operator' });
    await person('pat', { ...about, groups: ['Canteen'] });
    answered(403, await browser.logIn());
  });

  test('does not take the last administrator away, and lets nobody in by it', async () => {
    for (const { _id } of await api.muster.store.users.find({ role: 'administrator' }).toArray())
      if (_id !== 'root') await editUser(api.context, _id, { role: 'operator' }, { by: 'test' });
    await api.muster.store.users.updateOne({ _id: 'root' }, { $set: { role: 'operator' } });
    const about = { email: 'last@example.org', email_verified: true };
    const browser = await person('last', { ...about, groups: ['Muster Admins'] });
    answered(200, await browser.logIn());
    await person('last', { ...about, groups: ['Ops'] });
    answered(403, await browser.logIn());
    expect(await readUser(api.muster.store, about.email)).toMatchObject({ role: 'administrator' });
  });

  test('does not change the role of users whom somebody made in Muster', async () => {
    await addUser(api.context, { login: 'ines@example.org', role: 'instructor', by: 'test' });
    const browser = await person('ines', {
      email: 'ines@example.org',
      email_verified: true,
      groups: ['Muster Admins'],
    });
    answered(200, await browser.logIn());
    expect((await browser.session()).json()).toMatchObject({ role: 'instructor' });
  });

  test('makes nobody without a verified address or a role that is mapped', async () => {
    for (const [account, about] of [
      ['new-1', { email: 'new1@example.org', email_verified: false, groups: ['Ops'] }],
      ['new-2', { email: 'new2@example.org', email_verified: true, groups: ['ops', 'Canteen', ...ROLES] }],
      ['new-3', { email: 'new 3 $ne@example.org', email_verified: true, groups: ['Ops'] }],
    ] as const) {
      const browser = await person(account, about);
      answered(403, await browser.logIn());
    }
    expect(await api.muster.store.users.countDocuments({ _id: /^new/ })).toBe(0);
  });
});

describe('a provider that is not as it should be', () => {
  test('is away: Muster stands, says so, and works with it when it is back', async () => {
    await provider.close();
    await musterWith();
    const warn = vi.spyOn(api.context.log, 'warn');
    const away = answered(503, await new Browser().muster('session/oidc'));
    expect(away.json()).toMatchObject({ type: 'urn:muster:oidc-unreachable' });
    expect(away.headers['retry-after']).toBe('30');
    expect(warn.mock.calls).toEqual([[{ code: 'ECONNREFUSED' }, 'log-in by the provider failed']]);
    warn.mockRestore();
    await provider.open();
    const browser = await person('ada', {});
    answered(200, await browser.logIn());
  });

  test('goes away between: the code is not used, nobody is logged in', async () => {
    const browser = await person('ada', {});
    const begun = answered(302, await browser.muster('session/oidc'));
    const back = await browser.provider(String(begun.headers.location));
    await provider.close();
    expect((await browser.muster(back)).statusCode).toBe(503);
    answered(401, await browser.session());
    await provider.open();
  });

  test('knows Muster under another secret, or is another issuer: the operator is told, without the secret', async () => {
    const warn = vi.spyOn(api.context.log, 'warn');
    await musterWith({ clientSecret: 'not the secret' });
    const browser = await person('ada', {});
    const wrong = answered(502, await browser.logIn());
    expect(wrong.json()).toMatchObject({ type: 'urn:muster:oidc-misconfigured' });
    expect(wrong.body).not.toContain('not the secret');
    await musterWith({ issuer: new URL(provider.issuer.replace('127.0.0.1', 'localhost')) });
    answered(502, await new Browser().muster('session/oidc'));
    const logged = JSON.stringify(warn.mock.calls);
    expect(logged).toContain('invalid_client');
    expect(logged).not.toContain('not the secret');
    warn.mockRestore();
    await musterWith();
  });
});

test('where no provider is set, its routes do not exist, and the ways to log in say so', async () => {
  const methods = async () => answered(200, await api.ask(undefined, 'GET', 'session/methods')).json();
  await musterWith();
  expect(await methods()).toEqual({ password: true, oidc: true });
  await api.app.close();
  api.app = await buildServer(api.context);
  expect(await methods()).toEqual({ password: true, oidc: false });
  const absent = answered(404, await api.ask(undefined, 'GET', 'no-such-route')).body;
  for (const path of ['session/oidc', 'session/oidc/callback?code=a&state=b'])
    expect(answered(404, await api.ask(undefined, 'GET', path)).body).toBe(absent);
});
