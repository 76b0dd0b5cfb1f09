import { beforeAll, describe, expect, test } from 'vitest';
import { COMPANY, HR } from '../../harness.ts';
import { answered, useApi } from './asking.ts';

const api = useApi();
let key = '';

beforeAll(async () => {
  await api.muster.structure(COMPANY);
  await api.muster.feed(HR);
  await api.muster.import('EmployeeID,Mail,FirstName,LastName,Status,Groups\n1,a@example.org,A,B,A,sector-a\n');
  key = await api.key('administrator');
});

describe('keys that poison', () => {
  test.each([
    '{"__proto__":{"role":"administrator"},"name":"x"}',
    '{"name":"x","constructor":{"prototype":{"polluted":true}}}',
    '{"externalId":"9","attributes":{"__proto__":"x"}}',
    '{"externalId":"9","attributes":{"constructor":"x"}}',
    '{"externalId":"9","attributes":{"a.b":"x"}}',
    '{"externalId":"9","attributes":{"$set":"x"}}',
  ])('%s is refused', async (body) => {
    const path = body.includes('attributes') ? 'learners' : 'groups';
    const answer = await api.ask(key, 'POST', path, body, { 'content-type': 'application/json' });
    expect(answer.statusCode).toBe(400);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });

  test('names that objects have anyway name nothing', async () => {
    for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
      for (const path of [
        `feeds/${name}`,
        `groups/${name}`,
        `learners/${name}`,
        `courses/${name}`,
        `runs/${name}`,
        `users/${name}`,
      ]) {
        expect([path, (await api.ask(key, 'GET', path)).statusCode]).toEqual([path, 404]);
      }
    }
  });
});

describe('limits', () => {
  test('a body that is too large, broken, of another type or deep is refused', async () => {
    const large = answered(413, await api.ask(key, 'POST', 'groups', { name: 'x'.repeat(2 * 1024 * 1024) }));
    expect(large.json()).toMatchObject({ type: 'urn:muster:too-large', title: 'Too large' });
    answered(400, await api.ask(key, 'POST', 'groups', '{"name":', { 'content-type': 'application/json' }));
    const xml = answered(415, await api.ask(key, 'POST', 'groups', '<x/>', { 'content-type': 'application/xml' }));
    expect(xml.json()).toMatchObject({ type: 'urn:muster:unsupported-media-type' });
    const deep = await api.ask(key, 'POST', 'groups', `${'['.repeat(100_000)}${']'.repeat(100_000)}`, {
      'content-type': 'application/json',
    });
    expect(deep.statusCode).toBeLessThan(500);
  });

  test('a search is text, not a pattern: no pattern runs away', async () => {
    const started = performance.now();
    answered(200, await api.ask(key, 'GET', `learners?search=${encodeURIComponent('(a+)+$(((((a*)*)*)*)*)')}`));
    expect(performance.now() - started).toBeLessThan(5_000);
  });

  test('a cursor that nobody gave is refused', async () => {
    for (const path of [
      'runs',
      'groups',
      'learners',
      'groups/all/members',
      'feeds',
      'courses',
      'courses/welcome/subscribers',
      'users',
      'keys',
    ]) {
      for (const cursor of [
        'x',
        Buffer.from('{"$gt":""}').toString('base64url'),
        Buffer.from('{"externalId":{"$gt":""}}').toString('base64url'),
      ]) {
        expect([path, (await api.ask(key, 'GET', `${path}?cursor=${cursor}`)).statusCode]).toEqual([path, 400]);
      }
    }
  });
});

describe('answers', () => {
  test('tell nothing of the inside where something was not foreseen', async () => {
    const { store } = api.muster;
    await store.feeds.updateOne({ _id: 'hr' }, { $set: { text: ': broken : secret-inside' } });
    const answer = await api.ask(key, 'GET', 'feeds/hr');
    expect(answer.body).not.toMatch(/node_modules|at .*\.ts/);
    await store.feeds.updateOne({ _id: 'hr' }, { $set: { text: HR } });
  });
});
