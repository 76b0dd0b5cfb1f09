import { existsSync, readdirSync } from 'node:fs';
import { mkdir, utimes, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { RunId } from '../../../src/domain/ids.ts';
import { sweepUploads } from '../../../src/http/uploads.ts';
import { cancelRun } from '../../../src/run/approval.ts';
import { requestRun } from '../../../src/run/request.ts';
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

const left = () => (existsSync(api.context.uploads) ? readdirSync(api.context.uploads) : []);

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

  test('a folder of a killed process is found by its age; one that a run still reads stays', async () => {
    const { uploads } = api.context;
    const old = new Date(api.muster.clock.now().getTime() - 2 * 3_600_000);
    const make = async (name: string, at: Date) => {
      await mkdir(join(uploads, name), { recursive: true });
      await writeFile(join(uploads, name, 'feed'), 'x');
      await utimes(join(uploads, name, 'feed'), at, at);
      await utimes(join(uploads, name), at, at);
    };
    for (const name of left()) await utimes(join(uploads, name), old, old);
    await make('spool-died', old);
    await make('spool-young', api.muster.clock.now());
    await make('spool-wanted', old);
    const source = { name: 'x', path: join(uploads, 'spool-wanted', 'feed'), bytes: 1, temporary: true };
    await requestRun(api.context, { feed: 'hr', mode: 'full', preview: true, approve: false, by: 'test', source });
    await sweepUploads(api.context);
    expect(left().sort()).toEqual(['spool-wanted', 'spool-young']);
  });
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

describe('the events of a run', () => {
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
