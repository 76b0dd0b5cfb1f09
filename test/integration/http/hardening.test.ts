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

interface Operation {
  readonly method: string;
  readonly path: string;
  readonly query: readonly string[];
  readonly body: readonly string[];
}

/** Every route with the names of its parameters and of the fields of its body. */
function operations(): Operation[] {
  type Described = {
    parameters?: { name: string; in: string }[];
    requestBody?: { content: Record<string, { schema: { properties?: object } }> };
  };
  const { paths = {} } = api.app.swagger() as { paths?: Record<string, Record<string, Described>> };
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { parameters = [], requestBody }]) => ({
      method: method.toUpperCase(),
      path,
      query: parameters.filter((one) => one.in === 'query').map(({ name }) => name),
      body: Object.keys(requestBody?.content['application/json']?.schema.properties ?? {}),
    })),
  );
}

const OPERATORS = [{ $ne: null }, { $gt: '' }, { $regex: '.*' }, { $where: 'sleep(1000)' }, { $in: ['a', 1] }];

describe('NoSQL operators', () => {
  test('in any field of any body are refused, and no answer is a 5xx', async () => {
    for (const { method, path, body } of operations().filter(({ body }) => body.length > 0)) {
      const url = path.replace(/\{\w+\}/g, 'sector-a');
      for (const operator of OPERATORS) {
        for (const field of body) {
          const answer = await api.ask(key, method, url, { [field]: operator });
          expect({
            method,
            path,
            field,
            refused: [400, 404, 422].includes(answer.statusCode),
            body: answer.body,
          }).toEqual({ method, path, field, refused: true, body: answer.body });
        }
      }
    }
  });

  test('in any parameter are text like any other, or refused', async () => {
    for (const { path, query } of operations().filter(({ method }) => method === 'GET')) {
      const url = path.replace(/\{\w+\}/g, encodeURIComponent('{"$ne":null}'));
      expect((await api.ask(key, 'GET', url)).statusCode).toBeLessThan(500);
      for (const name of query) {
        for (const text of [
          `${name}[$ne]=`,
          `${name}[]=a&${name}[]=b`,
          `${name}=a&${name}=b`,
          `${name}=${encodeURIComponent('{"$gt":""}')}`,
        ]) {
          const { statusCode } = await api.ask(key, 'GET', `${path.replace(/\{\w+\}/g, 'sector-a')}?${text}`);
          expect([path, text, statusCode < 500]).toEqual([path, text, true]);
        }
      }
    }
  });

  test('do not log in', async () => {
    answered(400, await api.ask(undefined, 'POST', 'session', { login: { $ne: null }, password: { $ne: null } }));
    const answer = await api.ask(undefined, 'GET', 'session', undefined, { authorization: 'Bearer {"$ne":null}' });
    expect(answer.statusCode).toBe(401);
  });
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

  test('fields that are not for the asker to set are refused (mass assignment)', async () => {
    for (const [path, body] of [
      ['groups', { name: 'x', courses: ['welcome'] }],
      ['learners', { externalId: 'x', memberships: [] }],
      ['courses', { name: 'x', createdBy: 'user:eve' }],
      ['users', { login: 'eve', role: 'operator', password: 'x' }],
      ['keys', { name: 'eve', role: 'operator', hash: 'x' }],
    ] as const) {
      expect([path, (await api.ask(key, 'POST', path, body)).statusCode]).toEqual([path, 400]);
    }
  });
});

describe('limits', () => {
  test('a body that is too large, broken, of another type or deep is refused', async () => {
    answered(413, await api.ask(key, 'POST', 'groups', { name: 'x'.repeat(2 * 1024 * 1024) }));
    answered(400, await api.ask(key, 'POST', 'groups', '{"name":', { 'content-type': 'application/json' }));
    answered(415, await api.ask(key, 'POST', 'groups', '<x/>', { 'content-type': 'application/xml' }));
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
  test('bear the headers that keep browsers from guessing, framing and storing', async () => {
    const { headers } = answered(200, await api.ask(key, 'GET', 'groups'));
    expect(headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
    });
    expect(headers['content-security-policy']).toContain("frame-ancestors 'none'");
    expect(headers['content-security-policy']).not.toContain('unsafe-eval');
    expect(headers['x-powered-by']).toBeUndefined();
    expect(headers['access-control-allow-origin']).toBeUndefined();
  });

  test('tell nothing of the inside where something was not foreseen', async () => {
    const { store } = api.muster;
    await store.feeds.updateOne({ _id: 'hr' }, { $set: { text: ': broken : secret-inside' } });
    const answer = await api.ask(key, 'GET', 'feeds/hr');
    expect(answer.body).not.toMatch(/node_modules|at .*\.ts/);
    await store.feeds.updateOne({ _id: 'hr' }, { $set: { text: HR } });
  });
});
