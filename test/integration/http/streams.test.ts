import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, utimes, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { connect } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { RunId } from '../../../src/domain/ids.ts';
import { sweepUploads } from '../../../src/http/uploads.ts';
import { cancelRun } from '../../../src/run/approval.ts';
import { requestRun } from '../../../src/run/request.ts';
import { readReport } from '../../../src/settings/report.ts';
import { addReport } from '../../../src/store/reports.ts';
import { HR } from '../../harness.ts';
import { multipart, useApi } from './asking.ts';

const api = useApi();
let key = '';
let port = 0;

beforeAll(async () => {
  await api.muster.feed(HR);
  // Runs stay as they are made: what is proved here is how files come and events go.
  await api.muster.stopWorkers();
  key = await api.key('operator');
  await api.app.listen({ host: '127.0.0.1', port: 0 });
  port = (api.app.server.address() as { port: number }).port;
});
afterAll(() => api.app.close());

const own = () => join(api.context.uploads, `${hostname()}_${process.pid}`);
const left = () => (existsSync(own()) ? readdirSync(own()) : []);

describe('an upload over a socket', () => {
  test('that breaks off starts no run and leaves no file', async () => {
    const { payload, headers } = multipart('EmployeeID,Mail,FirstName,LastName,Status,Groups\n'.repeat(10_000));
    const socket = connect(port, '127.0.0.1');
    socket.write(
      `POST /api/v1/feeds/hr/runs HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\ncontent-type: ${headers['content-type']}\r\ncontent-length: ${payload.length}\r\n\r\n`,
    );
    socket.write(payload.subarray(0, payload.length / 2));
    await vi.waitFor(() => expect(left()).toHaveLength(1), { timeout: 5_000 });
    socket.destroy();
    await vi.waitFor(() => expect(left()).toEqual([]), { timeout: 5_000 });
    expect(await api.muster.store.runs.countDocuments()).toBe(0);
  });

  test('of any size takes bounded memory', async () => {
    const boundary = 'x';
    const line = Buffer.alloc(1024 * 1024, '1,a@example.org,A,B,A,none\n');
    const before = process.memoryUsage().rss;
    let highest = before;
    const status = await new Promise<number>((resolve, reject) => {
      const asked = request(
        {
          port,
          method: 'POST',
          path: '/api/v1/feeds/hr/runs',
          headers: { authorization: `Bearer ${key}`, 'content-type': `multipart/form-data; boundary=${boundary}` },
        },
        (answer) => {
          answer.resume().on('end', () => resolve(answer.statusCode ?? 0));
        },
      );
      asked.on('error', reject);
      const send = async () => {
        asked.write(
          `--${boundary}\r\ncontent-disposition: form-data; name="preview"\r\n\r\ntrue\r\n--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="big.csv"\r\n\r\nEmployeeID,Mail,FirstName,LastName,Status,Groups\n`,
        );
        for (let at = 0; at < 100; at += 1) {
          if (!asked.write(line)) await new Promise((resolve) => asked.once('drain', resolve));
          highest = Math.max(highest, process.memoryUsage().rss);
        }
        asked.end(`\r\n--${boundary}--\r\n`);
      };
      send().catch(reject);
    });
    expect(status).toBe(202);
    expect((highest - before) / 2 ** 20).toBeLessThan(60);
    const run = await api.muster.store.runs.findOne({});
    expect(run?.source).toMatchObject({ name: 'big.csv', temporary: true });
    await cancelRun(api.context, run?._id as RunId, 'test');
  }, 60_000);

  test('R24: whose process was killed is found by its directory; what a run still reads or will read again, or may be being written, stays', async () => {
    const { uploads } = api.context;
    const { clock } = api.muster;
    const make = async (owner: string, name: string, age: number) => {
      const folder = join(uploads, owner, name);
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, 'feed'), 'x');
      const at = new Date(clock.now().getTime() - age);
      await utimes(join(folder, 'feed'), at, at);
      return join(folder, 'feed');
    };
    const dead = spawnSync(process.execPath, ['-e', '']).pid;
    await make(`${hostname()}_${dead}`, 'spool-died', 0);
    await make(`${hostname()}_${process.ppid}`, 'spool-alive', 0);
    await make('another-host_1', 'spool-old', 3_600_000);
    await make('another-host_1', 'spool-young', 0);
    await make(`${hostname()}_${process.pid}`, 'spool-mine', 0);
    for (const [name, preview, state] of [
      ['spool-wanted', true, 'queued'],
      ['spool-planned', false, 'planned'],
      ['spool-previewed', true, 'planned'],
    ] as const) {
      const path = await make(`${hostname()}_${dead}`, name, 0);
      const source = { name: 'x', path, bytes: 1, temporary: true };
      const asked = { feed: 'hr', mode: 'full' as const, preview, approve: false, by: 'test', source };
      const { _id } = await requestRun(api.context, asked);
      await api.muster.store.runs.updateOne({ _id }, { $set: { state } });
    }
    const stays = [
      'another-host_1/spool-young',
      `${hostname()}_${dead}/spool-planned`,
      `${hostname()}_${dead}/spool-wanted`,
      `${hostname()}_${process.ppid}/spool-alive`,
    ];
    const lying = () =>
      readdirSync(uploads)
        .flatMap((owner) => readdirSync(join(uploads, owner)).map((name) => `${owner}/${name}`))
        .sort();
    await sweepUploads(api.context, { starting: false });
    expect(lying()).toEqual([...stays, `${hostname()}_${process.pid}/spool-mine`].sort());
    await sweepUploads(api.context, { starting: true });
    expect(lying()).toEqual(stays.sort());
  });
});

test('an upload that broke off is taken when it is sent again under its Idempotency-Key', async () => {
  const { store } = api.muster;
  const { payload, headers } = multipart('EmployeeID,Mail,FirstName,LastName,Status,Groups\n'.repeat(10_000));
  const before = left().length;
  const socket = connect(port, '127.0.0.1');
  socket.write(
    `POST /api/v1/feeds/hr/runs HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\nidempotency-key: night\r\ncontent-type: ${headers['content-type']}\r\ncontent-length: ${payload.length}\r\n\r\n`,
  );
  socket.write(payload.subarray(0, payload.length / 2));
  await vi.waitFor(() => expect(left()).toHaveLength(before + 1), { timeout: 5_000 });
  socket.destroy();
  const worked = { '_id.key': 'night', answer: { $exists: false } };
  await vi.waitFor(async () => expect(await store.idempotency.countDocuments(worked)).toBe(0), { timeout: 5_000 });
  const again = { ...headers, authorization: `Bearer ${key}`, 'idempotency-key': 'night' };
  const url = `http://127.0.0.1:${port}/api/v1/feeds/hr/runs`;
  const answer = await fetch(url, { method: 'POST', headers: again, body: payload });
  expect(answer.status).toBe(202);
  await cancelRun(api.context, ((await answer.json()) as { run: RunId }).run, 'test');
});

test('what is no HTTP, or has headers too large, gets a problem document', async () => {
  const answerTo = (bytes: string) =>
    new Promise<string>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
      let text = '';
      socket.on('data', (chunk: Buffer) => (text += chunk.toString())).on('close', () => resolve(text));
    });
  expect(await answerTo('no http at all\r\n\r\n')).toMatch(
    /^HTTP\/1.1 400 .*application\/problem\+json.*"status":400/s,
  );
  const large = `GET /healthz HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`;
  expect(await answerTo(large)).toMatch(/^HTTP\/1.1 431 .*application\/problem\+json/s);
});

test('HEAD is not for what is streamed: nobody takes it, and it would go on', async () => {
  const run = await requestRun(api.context, { feed: 'hr', mode: 'full', preview: true, approve: false, by: 'test' });
  const origin = 'database' as const;
  const settings = readReport({ name: 'Long', what: 'learners' });
  const report = await addReport(api.context, { settings, owner: 'test', by: 'test', origin });
  for (const path of [`runs/${run._id}/events`, 'exports/learners', `reports/${report._id}/rows`]) {
    const { status } = await fetch(`http://127.0.0.1:${port}/api/v1/${path}`, {
      method: 'HEAD',
      headers: { authorization: `Bearer ${key}` },
      signal: AbortSignal.timeout(5_000),
    });
    expect([path, status]).toEqual([path, 404]);
  }
  await cancelRun(api.context, run._id, 'test');
});

describe('the events of a run', () => {
  test('go on when the database was away while its progress was looked at, and end with the run', async () => {
    const { store } = api.muster;
    const run = await requestRun(api.context, { feed: 'hr', mode: 'full', preview: true, approve: false, by: 'test' });
    const countDocuments = store.outbox.countDocuments.bind(store.outbox);
    let failed = 0;
    Object.assign(store.outbox, {
      countDocuments: () => {
        failed += 1;
        return Promise.reject(new Error('away'));
      },
    });
    const answer = fetch(`http://127.0.0.1:${port}/api/v1/runs/${run._id}/events`, {
      headers: { authorization: `Bearer ${key}` },
    });
    await vi.waitFor(() => expect(failed).toBeGreaterThan(0), { timeout: 5_000 });
    Object.assign(store.outbox, { countDocuments });
    await cancelRun(api.context, run._id, 'test');
    expect(await (await answer).text()).toContain(`event: end\ndata: {"run":"${run._id}","state":"cancelled"`);
  });

  test('tell its progress, and end with the run, with the client and with the server', async () => {
    const run = await requestRun(api.context, { feed: 'hr', mode: 'full', preview: false, approve: false, by: 'test' });
    const listen = async () => {
      const answer = await fetch(`http://127.0.0.1:${port}/api/v1/runs/${run._id}/events`, {
        headers: { authorization: `Bearer ${key}` },
      });
      return { answer, reader: (answer.body as ReadableStream<Uint8Array>).getReader() };
    };
    const read = async ({ reader }: Awaited<ReturnType<typeof listen>>) => {
      const { value, done } = await reader.read();
      return done ? 'over' : Buffer.from(value).toString();
    };
    const one = await listen();
    expect(one.answer.headers.get('content-type')).toBe('text/event-stream');
    expect(await read(one)).toBe(
      `event: progress\ndata: {"run":"${run._id}","state":"queued","batches":0,"left":0}\n\n`,
    );
    const two = await listen();
    await read(two);
    await two.reader.cancel();
    await api.muster.store.runs.updateOne({ _id: run._id }, { $set: { state: 'cancelled' } });
    expect(await read(one)).toContain('event: end\ndata: {"run":');
    expect(await read(one)).toBe('over');
    await api.muster.store.runs.updateOne({ _id: run._id }, { $set: { state: 'queued' } });
    const three = await listen();
    await read(three);
    await api.app.close();
    expect(await read(three)).toBe('over');
  });
});
