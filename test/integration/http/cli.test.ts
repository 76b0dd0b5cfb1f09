import { describe, expect, test } from 'vitest';
import { useCommandLine } from '../cli/commandLine.ts';

const muster = useCommandLine();

describe('muster users', () => {
  test('adds a person with a one-time link, and lists, edits and revokes', async () => {
    const slip = await muster.call([
      'users',
      'add',
      'jansen@example.org',
      '--role',
      'reseller',
      '--subenvironment',
      'nort',
    ]);
    expect(slip.stderr).toContain('Make it first: muster subenvironments create "nort"');
    await muster.run('subenvironments create north');
    await muster.run('subenvironments create south');
    const added = await muster.json<{ link: string }>(
      'users add Jansen@example.org --role reseller --subenvironment north south',
    );
    expect(added).toMatchObject({
      login: 'jansen@example.org',
      role: 'reseller',
      subenvironments: ['north', 'south'],
      state: 'no password yet',
    });
    expect(added.link).toMatch(/^[A-Za-z0-9_-]{43}$/);
    await muster.run('users add other --role administrator');
    expect(await muster.json('users edit jansen@example.org --role operator')).toMatchObject({
      role: 'operator',
      subenvironments: [],
    });
    expect(await muster.run('users edit jansen@example.org --link')).toContain('/setup#');
    await muster.run('users revoke jansen@example.org');
    expect(await muster.json('users list')).toMatchObject([
      { login: 'jansen@example.org', state: 'revoked' },
      { login: 'other' },
    ]);
  });

  test('refuses a name that exists, a role that does not, and taking the last administrator away, with exit 2', async () => {
    expect(await muster.run('users add other --role operator', 2)).toBe('');
    expect(await muster.run('users add more --role king', 2)).toBe('');
    expect(await muster.run('users edit nobody --role operator', 2)).toBe('');
    expect(await muster.run('users revoke other', 2)).toBe('');
    expect(await muster.run('users edit other', 2)).toBe('');
  });
});

describe('muster keys', () => {
  test('makes a key that is shown once, and revokes it', async () => {
    const made = await muster.json<{ token: string; id: string }>(
      'keys add nightly --role operator --scope feeds:read runs:write --expires 2099-01-31',
    );
    expect(made).toMatchObject({
      name: 'nightly',
      role: 'operator',
      scopes: ['feeds:read', 'runs:write'],
      expiresAt: '2099-01-31T00:00:00.000Z',
    });
    const listed = await muster.run('keys list');
    expect(listed).toContain('nightly');
    expect(listed).not.toContain(made.token);
    expect(await muster.json('keys revoke nightly')).toMatchObject({ id: made.id, revokedAt: expect.any(String) });
    expect(await muster.run('keys revoke nightly', 2)).toBe('');
  });

  test('changes what a key may do and until when, and says it; never: without end', async () => {
    const made = await muster.json<{ id: string }>('keys add weekly --role operator --scope feeds:read');
    expect(await muster.json('keys edit weekly --scope runs:write feeds:write --expires 2099-01-31')).toMatchObject({
      id: made.id,
      scopes: ['runs:write', 'feeds:write'],
      expiresAt: '2099-01-31T00:00:00.000Z',
    });
    expect(await muster.json(`keys edit ${made.id} --scope read`)).toMatchObject({
      scopes: ['read'],
      expiresAt: '2099-01-31T00:00:00.000Z',
    });
    expect(await muster.json('keys edit weekly --expires never')).toMatchObject({ scopes: ['read'], expiresAt: null });
    expect(await muster.run('keys edit weekly --scope feeds:read')).toContain('feeds:read');
    const audit = (await muster.run('export audit')).split('\n');
    expect(audit.filter((line) => line.includes('"keys edit"'))).toHaveLength(4);
  });

  test('edits no key that is unknown or revoked, to no scope that does not exist, to no end that is over, and to nothing, with exit 2', async () => {
    const before = await muster.json('keys list');
    for (const words of [
      'nobody --scope read',
      'nightly --expires never',
      'weekly --scope everything',
      'weekly --scope read --expires 2020-01-01',
      'weekly --expires whenever',
      'weekly',
    ])
      expect(await muster.run(`keys edit ${words}`, 2)).toBe('');
    expect((await muster.call(['keys', 'edit', 'weekly'])).stderr).toContain('Give --scope or --expires');
    expect(await muster.json('keys list')).toEqual(before);
  });

  test('refuses what is neither role nor user, both, and a scope that does not exist, with exit 2', async () => {
    expect(await muster.run('keys add a', 2)).toBe('');
    expect(await muster.run('keys add a --role operator --user other', 2)).toBe('');
    expect(await muster.run('keys add a --role operator --scope everything', 2)).toBe('');
    expect(await muster.run('keys add a --user nobody', 2)).toBe('');
  });
});
