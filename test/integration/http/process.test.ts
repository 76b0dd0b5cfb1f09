import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test, vi } from 'vitest';
import { figure } from '../../faults/harness/figures.ts';
import { HR } from '../../harness.ts';
import { useCommandLine } from '../cli/commandLine.ts';
import { multipart } from './asking.ts';

const muster = useCommandLine();
const tsx = createRequire(import.meta.url).resolve('tsx');
const main = fileURLToPath(new URL('../../../src/cli/main.ts', import.meta.url));
const PATIENCE = 120_000;
vi.setConfig({ testTimeout: 3 * PATIENCE });
const children: ChildProcess[] = [];
afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
});

interface Served {
  readonly child: ChildProcess;
  readonly url: URL;
  readonly said: () => string;
  readonly ended: Promise<number | null>;
}

/** The command in a process of its own, once it listens. */
async function serve(command: string): Promise<Served> {
  const env = { ...process.env, ...muster.env, PORT: '0', METRICS_PORT: '0', LOG_LEVEL: 'silent' };
  const child = spawn(process.execPath, ['--import', tsx, main, command], {
    cwd: muster.directory,
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  children.push(child);
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const found = await vi.waitFor(() => {
    const url = /(?:listens on|metrics are at) (http:\/\/[^\s;]+?)[.;]?\s/.exec(said)?.[1];
    if (url === undefined) throw new Error(`muster ${command} does not listen yet: ${said}`);
    return new URL(url);
  }, PATIENCE);
  return { child, url: found, said: () => said, ended };
}

const uploads = () => {
  const directory = join(muster.directory, '.muster', 'uploads');
  return existsSync(directory) ? readdirSync(directory).flatMap((owner) => readdirSync(join(directory, owner))) : [];
};

/** Sends half of a file, and no more of it. */
async function beginUpload(url: URL, token: string): Promise<void> {
  const { payload, headers } = multipart('EmployeeID,Mail,FirstName,LastName,Status,Groups\n'.repeat(10_000));
  const socket = connect(Number(url.port), url.hostname);
  socket.on('error', () => undefined);
  socket.write(
    `POST /api/v1/feeds/hr/runs HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\ncontent-type: ${headers['content-type']}\r\ncontent-length: ${payload.length}\r\n\r\n`,
  );
  socket.write(payload.subarray(0, payload.length / 2));
  await vi.waitFor(() => expect(uploads()).toHaveLength(1), PATIENCE);
}

test('fault 7: the API killed in an upload leaves no run, and no file once it is there again; it ends with exit code 0 within 10 s, whatever is still being sent to it', async () => {
  muster.file('hr.yaml', HR);
  await muster.run('feeds apply hr.yaml');
  const { token } = await muster.json<{ token: string }>('keys add up --role operator --scope write');
  const first = await serve('api');
  const link = /This link makes the first administrator, once, within a day:\n {2}http:.*\/setup#[A-Za-z0-9_-]{43}/;
  await vi.waitFor(() => expect(first.said()).toMatch(link), PATIENCE);
  await beginUpload(first.url, token);
  first.child.kill('SIGKILL');
  await first.ended;
  expect(uploads()).toHaveLength(1);
  const second = await serve('api');
  expect(uploads()).toEqual([]);
  expect(await muster.json('runs list')).toEqual([]);
  expect((await fetch(new URL('/healthz', second.url))).status).toBe(200);
  figure('7', 'upload', 'killed with half of a file uploaded: 0 runs; 0 files once the API is there again');
  await beginUpload(second.url, token);
  const then = performance.now();
  second.child.kill('SIGTERM');
  expect(await second.ended).toBe(0);
  expect(performance.now() - then).toBeLessThan(10_000);
});

test('a worker serves health and metrics on METRICS_PORT, and is ready', async () => {
  const { url, child, ended } = await serve('worker');
  const ready = await fetch(new URL('/readyz', url));
  expect([ready.status, await ready.json()]).toMatchObject([200, { ready: true, workers: 1 }]);
  expect(await (await fetch(new URL('/metrics', url))).text()).toContain('muster_workers');
  expect((await fetch(new URL('/api/v1/runs', url))).status).toBe(404);
  child.kill('SIGTERM');
  expect(await ended).toBe(0);
});
