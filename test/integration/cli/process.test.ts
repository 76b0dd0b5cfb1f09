import { type ChildProcess, spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { afterEach, beforeAll, expect, test, vi } from 'vitest';
import { makeCompany } from '../../../src/example/company.ts';
import { exampleFeed } from '../../../src/example/feed.ts';
import { nightBytes } from '../../../src/example/write.ts';
import { importStructure } from '../../../src/run/structureChange.ts';
import { systemClock } from '../../../src/store/services.ts';
import { openStore, type Store } from '../../../src/store/store.ts';
import { useCommandLine } from './commandLine.ts';

const muster = useCommandLine();
const tsx = createRequire(import.meta.url).resolve('tsx');
const main = fileURLToPath(new URL('../../../src/cli/main.ts', import.meta.url));
const children: ChildProcess[] = [];
const servers: Server[] = [];
/** For a process to start and to read its file, on a machine with much else to do, ms. */
const PATIENCE = 60_000;
vi.setConfig({ testTimeout: 2 * PATIENCE });
let store: Store;

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  for (const server of servers.splice(0)) server.close();
});

/** The command in a process of its own. */
function start(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, ['--import', tsx, main, ...args], {
    cwd: muster.directory,
    env: { ...process.env, ...muster.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  const ended = new Promise<{ code: number | null; signal: string | null }>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  return { child, ended, stdout: text(child.stdout).catch(() => ''), stderr: text(child.stderr) };
}

/** A Redis that takes connections and never answers: a run stays `applying` for as long as its process waits for it. */
async function silentRedis(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  servers.push(server);
  return `redis://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Settles when the run of this file is being applied. */
async function isApplying(name: string): Promise<void> {
  for (const deadline = Date.now() + PATIENCE; Date.now() < deadline; ) {
    const run = await store.runs.findOne({ feed: 'hr', 'source.name': name }, { sort: { createdAt: -1 } });
    if (run?.state === 'applying') return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`The run of ${name} was not applied within ${PATIENCE} ms.`);
}

beforeAll(async () => {
  store = await openStore(muster.env.MONGODB_URI as string);
  const company = makeCompany({ learners: 3000 });
  const log = pino({ level: 'silent' });
  await importStructure(
    { store, clock: systemClock, log, purgeRetentionDays: 30 },
    {
      groups: company.groups.map(({ externalId, name, parent }) => ({
        externalId,
        name,
        ...(parent && { parent }),
        courses: company.links.filter(({ group }) => group === externalId).map(({ course }) => course),
      })),
      courses: company.courses,
      by: 'test',
    },
  );
  await muster.run(`feeds apply ${muster.file('hr.yaml', exampleFeed())}`);
  muster.file('night1.csv', nightBytes(company, { night: 1 }));
  muster.file('night2.csv', nightBytes(company, { night: 2 }));
  return () => store.close();
});

test('R24: an import that is killed while it applies goes on first at the next import, and ends as an undisturbed one', async () => {
  const killed = start(['import', 'night1.csv', '--feed', 'hr'], { REDIS_URL: await silentRedis() });
  await isApplying('night1.csv');
  killed.child.kill('SIGKILL');
  await killed.ended;
  const next = start(['import', 'night1.csv', '--feed', 'hr', '--json']);
  expect((await next.ended).code).toBe(0);
  expect(await next.stderr).toMatch(
    /Run r\d+ of feed hr was interrupted while applying; it goes on first\.\nRun r\d+: completed\./,
  );
  expect(JSON.parse(await next.stdout)).toMatchObject({ state: 'completed', noChange: true });
  expect(await muster.json('verify')).toMatchObject({ drift: [] });
  expect(await store.outbox.countDocuments()).toBe(0);
});

test('SIGINT ends an import with 130 and a word; the run goes on when it is started again', async () => {
  const interrupted = start(['import', 'night2.csv', '--feed', 'hr', '--json'], { REDIS_URL: await silentRedis() });
  await isApplying('night2.csv');
  interrupted.child.kill('SIGINT');
  expect(await interrupted.ended).toEqual({ code: 130, signal: null });
  expect(await interrupted.stdout).toBe('');
  expect(await interrupted.stderr).toContain('goes on from where it was when started again');
  const next = start(['import', 'night2.csv', '--feed', 'hr', '--json']);
  expect((await next.ended).code).toBe(0);
  expect(JSON.parse(await next.stdout)).toMatchObject({ state: 'completed', noChange: true });
  expect(await store.runs.countDocuments({ feed: 'hr', state: { $ne: 'completed' } })).toBe(0);
});

test('a worker ends within 10 s of SIGTERM, with exit code 0', async () => {
  const worker = start(['worker']);
  const works = new Promise<void>((resolve) => {
    worker.child.stderr?.on('data', (chunk) => String(chunk).includes('muster works') && resolve());
  });
  await Promise.race([works, worker.ended]);
  const asked = Date.now();
  worker.child.kill('SIGTERM');
  expect(await worker.ended).toEqual({ code: 0, signal: null });
  expect(Date.now() - asked).toBeLessThan(10_000);
});

test('an export whose reader has had enough ends by itself', async () => {
  const exporting = start(['export', 'subscriptions']);
  exporting.child.stdout?.once('data', () => exporting.child.stdout?.destroy());
  expect((await exporting.ended).signal).toBeNull();
});

test.each(['PORT', 'METRICS_PORT'])(
  'start on a %s that is taken ends at once, and says which setting to change',
  async (setting) => {
    const { port } = new URL(await silentRedis());
    const { ended, stderr } = start(['start'], { PORT: '0', METRICS_PORT: '0', [setting]: port });
    expect(await ended).toEqual({ code: 2, signal: null });
    expect(await stderr).toContain(`so this one does not start. Stop that, or set ${setting} to a free port.`);
  },
);
