import { beforeAll, describe, expect, test, vi } from 'vitest';
import { addKey } from '../../../src/store/keys.ts';
import { addUser } from '../../../src/store/users.ts';
import { COMPANY, HR } from '../../harness.ts';
import { answered, useApi } from './asking.ts';
import { choicesOf, extended, type Json, type Operation, operationsOf, replaced, sampleOf } from './described.ts';

/** Every field of every parameter and body of the OpenAPI document, filled with what does not belong there. */
const api = useApi();
vi.setConfig({ testTimeout: 120_000 });
let key = '';

beforeAll(async () => {
  await api.muster.structure(COMPANY);
  await api.muster.feed(HR);
  await api.muster.import('EmployeeID,Mail,FirstName,LastName,Status,Groups\n1,a@example.org,A,B,A,sector-a\n');
  key = await api.key('administrator');
  await addUser(api.context, { login: 'spare', role: 'operator', by: 'test' });
  await addKey(api.context, { name: 'spare', role: 'operator', scopes: ['read'], by: 'test' });
});

const NAMES: Readonly<Record<string, string>> = {
  group: 'sector-a',
  parent: 'all',
  from: 'sector-a',
  to: 'sector-b',
  learner: '1',
  learners: '1',
  except: '1',
  course: 'safety',
  courses: 'safety',
  feed: 'hr',
  run: 'r1',
  user: 'spare',
  key: 'spare',
  kind: 'learners',
  role: 'operator',
  email: 'sample@example.org',
  completion: '',
};
const own = (field: string): string | undefined => (field === 'text' ? HR : NAMES[field] || undefined);
/** With `:` the address of an operation whose names are all there. */
const addressOf = ({ path }: Operation, name = (parameter: string) => NAMES[parameter] ?? 'none') =>
  path.replace(/\{(\w+)\}/g, (_, parameter: string) => encodeURIComponent(name(parameter)));

const operations = () => operationsOf(api.app.swagger());
/** The right bodies of an operation, one for each shape that it takes. */
const bodiesOf = ({ body }: Operation): Json[] => (body ? choicesOf(body) : []).map((shape) => sampleOf(shape, own));
const writes = () => operations().flatMap((one) => bodiesOf(one).map((body) => ({ ...one, right: body })));

const OPERATORS: readonly Json[] = [
  { $ne: null },
  { $gt: '' },
  { $regex: '.*' },
  { $where: 'sleep(1000)' },
  { $expr: { $function: { body: 'sleep(1000)', args: [], lang: 'js' } } },
  [{ $ne: null }],
];

/** Log-in is limited: each try comes from somewhere else. */
let asked = 0;
function ask(method: string, url: string, body?: Json | string) {
  asked += 1;
  api.address = `10.1.${asked >> 8}.${asked & 255}`;
  const payload = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
  return api.ask(key, method, url, payload, payload === undefined ? {} : { 'content-type': 'application/json' });
}

describe('NoSQL operators', () => {
  test('in any place of any body are refused as not the shape that is asked for', async () => {
    expect(writes().length).toBeGreaterThan(20);
    for (const { right, ...operation } of writes()) {
      for (const operator of OPERATORS) {
        for (const { at, value } of replaced(right, operator)) {
          const { statusCode, body } = await ask(operation.method, addressOf(operation), value);
          const { method, path } = operation;
          expect({ method, path, at, operator, statusCode, body }).toMatchObject({ method, path, at, statusCode: 400 });
        }
      }
    }
  });

  test('in any parameter of any address are refused, or are a text that nothing is called', async () => {
    for (const operation of operations().filter(({ method }) => method === 'GET')) {
      for (const name of operation.query) {
        for (const text of [
          `${name}[$ne]=`,
          `${name}[$where]=sleep(1000)`,
          `${name}[]=a&${name}[]=b`,
          `${name}=a&${name}=b`,
          `${name}=${encodeURIComponent('{"$gt":""}')}`,
          `${name}=${encodeURIComponent('[{"$ne":null}]')}`,
        ]) {
          const answer = await ask('GET', `${addressOf(operation)}?${text}`);
          const found = answer.statusCode === 200 ? (answer.json<{ items?: unknown[] }>().items ?? ['?']) : [];
          expect({ path: operation.path, text, status: answer.statusCode < 500, found }).toMatchObject({
            status: true,
            found: [],
          });
        }
      }
    }
  });

  test('as a name in any address name nothing', async () => {
    for (const operation of operations().filter(({ path }) => path.includes('{'))) {
      for (const text of ['{"$ne":null}', '$where', '[$ne]', '..', '%00', '__proto__', 'constructor']) {
        const right = bodiesOf(operation)[0];
        const { statusCode, body } = await ask(
          operation.method,
          addressOf(operation, () => text),
          right,
        );
        const { method, path } = operation;
        const refused = [400, 404, 422].includes(statusCode);
        expect({ method, path, text, statusCode, body, refused }).toMatchObject({ method, path, text, refused: true });
      }
    }
  });

  test('log nobody in', async () => {
    answered(400, await api.ask(undefined, 'POST', 'session', { login: { $ne: null }, password: { $ne: null } }));
    for (const token of ['{"$ne":null}', 'muster_k000000000000_{"$ne":null}', '[object Object]'])
      answered(401, await api.ask(undefined, 'GET', 'session', undefined, { authorization: `Bearer ${token}` }));
    const cookie = await api.ask(undefined, 'GET', 'session', undefined, { cookie: 'muster_session[$ne]=x' });
    expect(cookie.statusCode).toBe(401);
  });
});

/** What is stored of things, and never the asker's to set. */
const NOT_TO_SET: Readonly<Record<string, Json>> = {
  _id: 1,
  id: 1,
  createdBy: 'user:eve',
  createdAt: '2020-01-01T00:00:00Z',
  revokedAt: null,
  expiredAt: null,
  revision: 99,
  password: 'a password of mine',
  hash: 'x',
  origin: 'file',
  memberships: [],
  emailKey: 'x@example.org',
  owner: 'user:eve',
  by: 'user:eve',
  state: 'completed',
  csrf: 'x',
  isAdmin: true,
  constructor: { prototype: { polluted: true } },
};

describe('mass assignment', () => {
  test('a field that the description does not know is refused in every object of every body', async () => {
    for (const { right, method, ...operation } of writes()) {
      for (const [field, by] of Object.entries(NOT_TO_SET)) {
        for (const { at, value } of extended(right, field, by)) {
          const { statusCode, body } = await ask(method, addressOf({ ...operation, method }), value);
          const { path } = operation;
          expect({ method, path, at, statusCode, body }).toMatchObject({ method, path, at, statusCode: 400 });
        }
      }
    }
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });

  test('a key that would reach the prototype is refused in every object of every body', async () => {
    for (const { right, ...operation } of writes()) {
      const { method, path } = operation;
      const text = JSON.stringify(right);
      for (const poison of ['"__proto__":{"role":"administrator"}', '"constructor":{"prototype":{"polluted":true}}']) {
        for (const at of [...text.matchAll(/\{/g)].map(({ index }) => index + 1)) {
          const body = `${text.slice(0, at)}${poison}${text[at] === '}' ? '' : ','}${text.slice(at)}`;
          const { statusCode } = await ask(method, addressOf(operation), body);
          expect({ method, path, body, statusCode }).toEqual({ method, path, body, statusCode: 400 });
        }
      }
    }
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });

  test('an upload takes preview, approve and one file, and no other field', async () => {
    const form = (fields: Record<string, string>) =>
      api.ask(
        key,
        'POST',
        'feeds/hr/runs',
        `${Object.entries(fields)
          .map(([name, value]) => `--x\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`)
          .join(
            '',
          )}--x\r\ncontent-disposition: form-data; name="file"; filename="a.csv"\r\n\r\nEmployeeID\n1\n\r\n--x--\r\n`,
        { 'content-type': 'multipart/form-data; boundary=x' },
      );
    const runs = await api.muster.store.runs.countDocuments();
    for (const field of ['by', 'mode', 'feed', '__proto__', 'constructor', 'source[path]'])
      expect([field, (await form({ [field]: 'true' })).statusCode]).toEqual([field, 400]);
    expect(await api.muster.store.runs.countDocuments()).toBe(runs);
  });

  test('the bodies that were spoilt above are right ones otherwise, but for a few whose fields hang on each other', async () => {
    const last = ({ method, path }: Operation) => (method === 'DELETE' || path.includes('delete') ? 1 : 0);
    const all = writes().sort((a, b) => last(a) - last(b));
    const wrong: object[] = [];
    for (const { right, ...operation } of all) {
      const { statusCode, body } = await ask(operation.method, addressOf(operation), right);
      expect(statusCode).toBeLessThan(500);
      if (statusCode === 400) wrong.push({ method: operation.method, path: operation.path, right, body });
    }
    expect(wrong.length / all.length, JSON.stringify(wrong)).toBeLessThan(0.2);
  });
});
