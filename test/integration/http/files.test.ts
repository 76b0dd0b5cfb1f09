import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from 'vitest';
import { buildServer } from '../../../src/http/server.ts';
import { COMPANY, HR } from '../../harness.ts';
import { answered, multipart, useApi } from './asking.ts';

const api = useApi();
const HEADER = 'EmployeeID,Mail,FirstName,LastName,Status,Groups';
let key = '';

beforeAll(async () => {
  await api.muster.structure(COMPANY);
  await api.muster.feed(HR);
  key = await api.key('operator');
});

const feedFrom = (source: string) => HR.replace('name: hr', `name: disk\nsource: ${source}`);
const put = (source: string) => api.ask(key, 'PUT', 'feeds/disk', { text: feedFrom(source) });

describe('a feed that an operator makes reads nothing outside of its directories', () => {
  test.each([
    '/etc/passwd',
    '../../../../../../etc/passwd',
    'inbox/../../../../../../etc/passwd',
    './../x.csv',
    '.env',
    '.muster/mongod.key',
    'inbox/.ssh/id_ed25519',
    '/proc/self/environ',
    '.',
  ])('%s is refused', async (path) => {
    for (const source of [`{ file: ${JSON.stringify(path)} }`, `{ directory: ${JSON.stringify(path)} }`]) {
      expect([source, (await put(source)).statusCode]).toEqual([source, 422]);
      const checked = await api.ask(key, 'POST', 'feeds/check', { text: feedFrom(source) });
      expect([source, checked.statusCode]).toEqual([source, 422]);
    }
  });

  test('a link that leads outside is not followed, whether it was there before the feed or came after it', async () => {
    const { directory } = api.muster;
    mkdirSync(join(directory, 'inbox'), { recursive: true });
    symlinkSync('/etc', join(directory, 'inbox', 'etc'));
    answered(422, await put('{ file: inbox/etc/passwd }'));
    answered(422, await put('{ directory: inbox/etc }'));
    answered(201, await put('{ file: inbox/later.csv }'));
    symlinkSync('/etc/passwd', join(directory, 'inbox', 'later.csv'));
    for (const [method, path] of [
      ['GET', 'feeds/disk/sample'],
      ['POST', 'feeds/disk/runs'],
    ] as const) {
      const answer = answered(422, await api.ask(key, method, path));
      expect(answer.body).not.toContain('root:');
    }
  });

  test('names with NUL, or of feeds that climb, are refused', async () => {
    expect((await put('{ file: "a\\0b.csv" }')).statusCode).toBeLessThan(500);
    for (const name of ['../x', 'a/b', '..', '.x', '__proto__', 'x\\0y'])
      answered(422, await api.ask(key, 'POST', 'feeds/check', { text: HR.replace('name: hr', `name: "${name}"`) }));
  });

  test('a file of the directory is read', async () => {
    writeFileSync(join(api.muster.directory, 'inbox', 'own.csv'), `${HEADER}\n1,a@example.org,A,B,A,sector-a\n`);
    answered(200, await put('{ file: inbox/own.csv }'));
    expect(answered(200, await api.ask(key, 'GET', 'feeds/disk/sample')).json()).toMatchObject({ file: 'own.csv' });
  });
});

describe('a feed that an operator makes reads nothing of what Muster itself has', () => {
  const lying = (path: string) => join(api.muster.directory, path);
  const asked = async (path: string) => {
    const sources = [`{ file: ${path} }`, `{ directory: ${path} }`];
    return Promise.all(sources.map(async (source) => (await put(source)).statusCode));
  };

  beforeAll(async () => {
    const { directory } = api.muster;
    const server = api.app;
    for (const folder of ['config/feeds', 'delivered', 'configured', 'data/inbox/hr', 'data/uploads'])
      mkdirSync(lying(folder), { recursive: true });
    for (const file of ['config/feeds/hr.yaml', 'delivered/hr.csv', 'data/inbox/hr/hr.csv', 'data/uploads/hr.csv'])
      writeFileSync(lying(file), HEADER);
    for (const [name, to] of Object.entries({
      'to-config': 'config',
      'to-data': 'data',
      'to-uploads': 'data/uploads',
      'to-inbox': 'data/inbox',
    }))
      symlinkSync(lying(to), lying(`delivered/${name}`));
    symlinkSync(lying('data/uploads'), lying('data/inbox/out'));
    api.app = await buildServer({ ...api.context, uploads: join(directory, 'data', 'uploads') });
    return async () => {
      await api.app.close();
      api.app = server;
    };
  });

  test('neither of config nor of MUSTER_DATA but its inbox, by whatever way', async () => {
    for (const path of [
      'config',
      'config/feeds/hr.yaml',
      './delivered/../config/feeds',
      'config/absent.yaml',
      'data',
      'data/uploads/hr.csv',
      'data/absent',
      'data/inbox/../uploads',
      'delivered/to-config/feeds/hr.yaml',
      'delivered/to-config',
      'delivered/to-data',
      'delivered/to-data/uploads/hr.csv',
      'delivered/to-uploads',
      'data/inbox/out/hr.csv',
    ])
      for (const one of [path, lying(path)]) expect([one, await asked(one)]).toEqual([one, [422, 422]]);
    for (const path of [
      'delivered/hr.csv',
      'configured',
      'data/inbox/hr',
      'data/inbox/hr/hr.csv',
      'delivered/to-inbox/hr/hr.csv',
    ])
      for (const one of [path, lying(path)])
        expect([one, (await asked(one)).every((status) => status < 300)]).toEqual([one, true]);
  });
});

describe('an uploaded file', () => {
  const upload = async (name: string, content: string | Buffer = `${HEADER}\n1,a@example.org,A,B,A,unknown\n`) => {
    const { payload, headers } = multipart(content, {}, name);
    const answer = answered(202, await api.ask(key, 'POST', 'feeds/hr/runs', payload, headers));
    const { run } = answer.json<{ run: string }>();
    await api.muster.settled(run as never);
    return answered(200, await api.ask(key, 'GET', `runs/${run}`)).json<{ source: { name: string }; error?: object }>();
  };

  test.each([
    ['../../../etc/cron.d/x.csv', 'x.csv'],
    ['..\\..\\windows\\x.csv', 'x.csv'],
    ['/etc/passwd', 'passwd'],
    ['a\u0000b\u0007.csv', 'ab.csv'],
    [`${'n'.repeat(5_000)}.csv`, 'n'.repeat(200)],
  ])('named %s is called %s, and lies where all uploads lie', async (name, called) => {
    const run = await upload(name);
    expect(run.source.name).toBe(called);
    const stored = readdirSync(api.muster.directory, { recursive: true, encoding: 'utf8' });
    expect(stored.filter((path) => /passwd|cron|windows/.test(path) && !path.startsWith('inbox'))).toEqual([]);
    expect(existsSync('/etc/cron.d/x.csv')).toBe(false);
  });

  test('that is packed is not unpacked: gzip and zip are no feeds', async () => {
    const bomb = gzipSync(Buffer.alloc(50 * 1024 * 1024, `${HEADER}\n`), { level: 9 });
    const before = process.memoryUsage().rss;
    for (const content of [bomb, Buffer.concat([Buffer.from('PK\u0003\u0004'), bomb])])
      expect(await upload('hr.csv.gz', content)).toMatchObject({ state: 'failed' });
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024);
  });

  test('whose columns and cells have the names of what objects have anyway is read as text', async () => {
    await api.muster.feed(
      'name: odd\nlearner: { externalId: constructor, attributes: { constructor: toString, hasOwnProperty: valueOf } }\ngroups: [{ column: __proto__ }]\n',
    );
    const report = await api.muster.import(
      'constructor,__proto__,toString,valueOf,hasOwnProperty\n__proto__,sector-a,a,b,c\nconstructor,constructor,__proto__,b,c\n',
      { feed: 'odd', approve: true },
    );
    expect(report).toMatchObject({ rows: { read: 2, accepted: 1, rejected: 1 }, learners: { created: 1 } });
    const learner = answered(200, await api.ask(key, 'GET', 'learners/__proto__')).json<object>();
    expect(learner).toMatchObject({ externalId: '__proto__', attributes: { constructor: 'a', hasOwnProperty: 'b' } });
    expect(Object.getPrototypeOf({})).not.toHaveProperty('a');
  });
});

describe('a body', () => {
  test('that says it is packed is not unpacked', async () => {
    const packed = gzipSync(JSON.stringify({ text: HR }));
    for (const encoding of ['gzip', 'br', 'deflate', 'gzip, gzip']) {
      const headers = { 'content-type': 'application/json', 'content-encoding': encoding };
      expect((await api.ask(key, 'POST', 'feeds/check', packed, headers)).statusCode).toBe(400);
    }
  });

  describe('that comes slowly', () => {
    let port = 0;
    beforeAll(async () => {
      const app = await buildServer(api.context, { patience: 2_000 });
      await app.listen({ host: '127.0.0.1', port: 0 });
      port = (app.server.address() as AddressInfo).port;
      return () => app.close();
    });

    /** Sends the parts with a pause before each; all that was answered until the connection ended. */
    async function send(
      type: string,
      parts: readonly (string | Buffer)[],
      missing: number,
      pause: number,
    ): Promise<string> {
      const length = parts.reduce((sum, part) => sum + Buffer.byteLength(part), 0) + missing;
      const socket = connect(port, '127.0.0.1');
      let said = '';
      socket.on('data', (chunk) => {
        said += chunk.toString();
        if (said.includes('\r\n\r\n')) socket.end();
      });
      const path = type.startsWith('multipart') ? 'feeds/hr/runs' : 'feeds/check';
      socket.write(
        `POST /api/v1/${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\ncontent-type: ${type}\r\ncontent-length: ${length}\r\n\r\n`,
      );
      const closed = once(socket, 'close');
      for (const part of parts) {
        await new Promise((done) => setTimeout(done, pause));
        if (!socket.destroyed) socket.write(part);
      }
      await closed;
      return said;
    }

    test('is given up after a while, whatever trickles in', async () => {
      const trickle = Array.from({ length: 8 }, () => '{');
      expect(await send('application/json', trickle, 1_000, 100)).toMatch(/^HTTP\/1\.1 408 /);
    });

    test('of a file is given up when nothing of it comes, and leaves nothing behind', async () => {
      const { payload, headers } = multipart(`${HEADER}\n${'1,a,A,B,A,x\n'.repeat(1_000)}`);
      const runs = await api.muster.store.runs.countDocuments();
      expect(await send(headers['content-type'] as string, [payload.subarray(0, 5_000)], 10_000, 0)).not.toContain(
        '202',
      );
      expect(await api.muster.store.runs.countDocuments()).toBe(runs);
      const left = () =>
        readdirSync(api.context.uploads, { recursive: true, encoding: 'utf8' }).filter((path) =>
          path.includes('spool-'),
        );
      const held = await api.muster.store.runs.find({ 'source.path': /spool-/ }).toArray();
      await expect
        .poll(() => left().filter((path) => !held.some(({ source }) => source.path?.includes(path))))
        .toEqual([]);
    });

    test('of a file is taken where it comes in its own time', async () => {
      const { payload, headers } = multipart(`${HEADER}\n2,b@example.org,A,B,A,sector-a\n`);
      const parts = Array.from({ length: 8 }, (_, at) =>
        payload.subarray((at * payload.length) / 8, ((at + 1) * payload.length) / 8),
      );
      expect(await send(headers['content-type'] as string, parts, 0, 300)).toMatch(/^HTTP\/1\.1 202 /);
    });
  });
});

describe('answers of every kind', () => {
  test('bear the headers that keep browsers from guessing, framing, referring and storing', async () => {
    const { run } = await api.muster.import(`${HEADER}\n3,c@example.org,A,B,A,unknown\n`);
    for (const [path, as, stored] of [
      ['groups', key, false],
      ['groups/absent', key, false],
      ['groups', undefined, false],
      ['no-such-route', undefined, false],
      ['groups?limit=x', key, false],
      ['exports/learners?format=csv', key, false],
      [`runs/${run}/rejected`, key, false],
      [`runs/${run}/events`, key, false],
      ['session/methods', undefined, true],
      ['/setup', undefined, false],
      ['/setup.js', undefined, true],
      ['/api/docs/', undefined, true],
      ['/api/openapi.json', undefined, true],
      ['/healthz', undefined, false],
    ] as const) {
      const { headers } = await api.ask(as, 'GET', path);
      expect({ path, ...headers }).toMatchObject({
        path,
        'x-content-type-options': 'nosniff',
        'x-frame-options': expect.stringMatching(/DENY|SAMEORIGIN/),
        'referrer-policy': 'no-referrer',
        'strict-transport-security': expect.stringContaining('max-age='),
        'content-security-policy': expect.stringContaining("frame-ancestors 'none'"),
      });
      const cache = stored ? 'no-store' : headers['cache-control'];
      expect({ path, cache }).toEqual({ path, cache: 'no-store' });
      expect(headers['x-powered-by']).toBeUndefined();
      expect(headers['access-control-allow-origin']).toBeUndefined();
      expect(headers.server).toBeUndefined();
    }
  });

  test('name their files with nothing that ends a header or a name', async () => {
    const { run } = await api.muster.import(`${HEADER}\n4,d@example.org,A,B,A,unknown\n`);
    for (const path of ['exports/learners?format=csv', `runs/${run}/rejected`]) {
      const { headers } = answered(200, await api.ask(key, 'GET', path));
      expect(headers['content-disposition']).toMatch(/^attachment; filename="[\w.-]+"$/);
    }
    for (const run of ['r1%0d%0aset-cookie:%20a=b', 'r1%22;%20x=%22']) {
      const { headers, statusCode } = await api.ask(key, 'GET', `runs/${run}/rejected`);
      expect([statusCode, headers['set-cookie'], headers['content-disposition']]).toEqual([404, undefined, undefined]);
    }
  });
});
