import { type ChildProcess, spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { afterEach, beforeAll, expect, test } from 'vitest';
import type { RunState } from '../../../src/domain/run.ts';
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
let store: Store;

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

/** The command in a process of its own. */
function start(...args: string[]) {
  const child = spawn(process.execPath, ['--import', tsx, main, ...args], {
    cwd: muster.directory,
    env: { ...process.env, ...muster.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  const ended = new Promise<{ code: number | null; signal: string | null }>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  return { child, ended, stdout: text(child.stdout).catch(() => ''), stderr: text(child.stderr) };
}

/** Settles when the latest run is in the state. */
async function latestIs(state: RunState): Promise<void> {
  for (const deadline = Date.now() + 20_000; Date.now() < deadline; ) {
    const run = await store.runs.findOne({ feed: 'hr' }, { sort: { createdAt: -1 } });
    if (run?.state === state) return;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  throw new Error(`No run became ${state} within 20 s.`);
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

// A job of a killed worker is given to another when its lock has run out.
test('R24: an import that is killed while it applies goes on first at the next import, and ends as an undisturbed one', async () => {
  const killed = start('import', 'night1.csv', '--feed', 'hr');
  await latestIs('applying');
  killed.child.kill('SIGKILL');
  await killed.ended;
  const next = start('import', 'night1.csv', '--feed', 'hr', '--json');
  expect((await next.ended).code).toBe(0);
  expect(await next.stderr).toMatch(
    /Run r\d+ of feed hr was interrupted while (applying|reconciling); it goes on first\./,
  );
  expect(JSON.parse(await next.stdout)).toMatchObject({ state: 'completed', noChange: true });
  expect(await muster.json('verify')).toMatchObject({ drift: [] });
  expect(await store.outbox.countDocuments()).toBe(0);
}, 90_000);

test('SIGINT ends an import with 130 and a word; the run goes on when it is started again', async () => {
  const interrupted = start('import', 'night2.csv', '--feed', 'hr', '--json');
  await latestIs('reading');
  interrupted.child.kill('SIGINT');
  expect(await interrupted.ended).toEqual({ code: 130, signal: null });
  expect(await interrupted.stdout).toBe('');
  expect(await interrupted.stderr).toContain('goes on from where it was when started again');
  const next = start('import', 'night2.csv', '--feed', 'hr', '--json');
  expect((await next.ended).code).toBe(0);
  expect(JSON.parse(await next.stdout)).toMatchObject({ state: 'completed' });
  const left = await store.runs.find({ feed: 'hr', state: { $nin: ['completed', 'superseded', 'held'] } }).toArray();
  expect(left).toEqual([]);
});

test('a worker ends within 10 s of SIGTERM, with exit code 0', async () => {
  const worker = start('worker');
  await new Promise<void>((resolve) =>
    worker.child.stderr?.on('data', (chunk) => String(chunk).includes('muster works') && resolve()),
  );
  const asked = Date.now();
  worker.child.kill('SIGTERM');
  expect(await worker.ended).toEqual({ code: 0, signal: null });
  expect(Date.now() - asked).toBeLessThan(10_000);
});

test('an export whose reader has had enough ends by itself', async () => {
  const exporting = start('export', 'subscriptions');
  exporting.child.stdout?.once('data', () => exporting.child.stdout?.destroy());
  expect((await exporting.ended).signal).toBeNull();
});
