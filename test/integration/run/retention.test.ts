import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { beforeAll, describe, expect, test } from 'vitest';
import { sourceFile, spool } from '../../../src/feed/sources/file.ts';
import type { HttpContext } from '../../../src/http/context.ts';
import { figuresOf } from '../../../src/http/figures.ts';
import { approveRun, planAgain, rejectRun } from '../../../src/run/approval.ts';
import { executeRun } from '../../../src/run/execute.ts';
import { drainRun } from '../../../src/run/manual.ts';
import { editLearner } from '../../../src/run/memberships.ts';
import { requestRun } from '../../../src/run/request.ts';
import { endRetention } from '../../../src/run/retention.ts';
import { verify } from '../../../src/run/verify.ts';
import { whyCourse } from '../../../src/run/why.ts';
import { sealAudit } from '../../../src/store/auditChain.ts';
import type { RunDoc } from '../../../src/store/models.ts';
import { ofRun } from '../../../src/store/outbox.ts';
import { COMPANY, HR, useMuster } from '../../harness.ts';
import { commandLineOf } from '../cli/commandLine.ts';

const muster = useMuster();
const HEADER = 'EmployeeID,Mail,FirstName,LastName,Status,Groups';
const file = (...rows: string[]) => `${[HEADER, ...rows].join('\n')}\n`;
const STAFF = ['001,p1@x.org,Ann,Arbor,A,sector-a', '002,p2@x.org,Bob,Berg,A,sector-b'];
const BROKEN = '003,p3@x.org,Cy,Cole,A,no-such-group';
const retention = { runs: 365, rejectedRows: 90, uploads: 30 };
const days = (count: number) => muster.clock.forward(count * 86_400_000);
const round = () => endRetention(muster.context, retention);
const has = async (run: string) => (await muster.store.runs.findOne({ _id: run as never })) !== null;
const kept = (run: string) => muster.store.rejected.countDocuments(ofRun(run as never));

const runs: Record<string, string> = {};

/** A held plan of standard input. */
async function heldCopy(): Promise<{ run: string; path: string }> {
  const copy = await spool(Readable.from([file(STAFF[0] as string)]), join(muster.directory, 'spool'));
  const source = { name: 'hr.csv', path: copy.path, bytes: copy.bytes, temporary: true };
  const request = { feed: 'hr', mode: 'full' as const, preview: false, approve: false, by: 'test', source };
  const run = await requestRun(muster.context, request);
  expect((await executeRun(muster.context, run, await sourceFile(copy.path))).state).toBe('held');
  return { run: run._id, path: copy.path };
}

beforeAll(async () => {
  await muster.structure(COMPANY);
  await muster.feed(`${HR}guard: { membershipsRemoved: 0, rowsPercent: off, rejectedPercent: off }\n`);
  runs.applied = (await muster.import(file(...STAFF, BROKEN))).run;
  runs.preview = (await muster.import(file(STAFF[0] as string, BROKEN), { preview: true })).run;
  const { run } = await heldCopy();
  await rejectRun(muster.context, run as never, 'test');
  runs.rejected = run;
  runs.noNews = (await muster.import(file(...STAFF, BROKEN))).run;
  runs.last = (await muster.import(file(...[...STAFF].reverse(), BROKEN))).run;
  days(1);
});

describe('Retention', () => {
  test('nothing goes before its time', async () => {
    await round();
    for (const run of Object.values(runs)) expect(await has(run)).toBe(true);
  });

  test('the copy of a file for a held plan goes after 30 days; its plan can still be approved', async () => {
    const { run, path } = await heldCopy();
    days(29);
    await round();
    expect(existsSync(path)).toBe(true);
    days(2);
    await round();
    expect(existsSync(path)).toBe(false);
    expect((await approveRun(muster.context, run as never, 'test')).state).toBe('applying');
    await drainRun(muster.context, run as never);
    expect((await muster.settled(run as never)).state).toBe('completed');
    runs.last = (await muster.import(file(...STAFF, BROKEN), { approve: true })).run;
  });

  test('the copy of standard input goes once its plan is not held any more, and not before a plan made again of it is', async () => {
    const { run, path } = await heldCopy();
    await round();
    expect(existsSync(path)).toBe(true);
    await editLearner(muster.context, { learner: await muster.learner('002'), set: { lastName: 'New' }, by: 'test' });
    const again = await planAgain(muster.context, run as never, 'test');
    days(1);
    await round();
    expect(existsSync(path)).toBe(true);
    await rejectRun(muster.context, again?._id as never, 'test');
    days(1);
    await round();
    expect(existsSync(path)).toBe(false);
    runs.last = (await muster.import(file(...STAFF, BROKEN))).run;
  });

  test('rejected rows go after 90 days, but not those with which the next run compares', async () => {
    expect(await kept(runs.applied as string)).toBe(1);
    days(91);
    await round();
    expect(await kept(runs.applied as string)).toBe(0);
    expect(await kept(runs.last as string)).toBe(1);
    expect(await muster.import(file(...STAFF, BROKEN))).toMatchObject({ noChange: true, rows: { rejected: 1 } });
  });

  test('who asks for rejected rows that went is told so, which is not that there were none', async () => {
    const cli = commandLineOf(muster);
    for (const format of ['', ' --json']) {
      const { exit, stdout, stderr } = await cli.call(`runs rejected ${runs.applied}${format}`.split(' '));
      expect([exit, stdout, stderr]).toEqual([2, '', expect.stringContaining(`run ${runs.applied} are kept no more`)]);
      expect(stderr).not.toContain('has read no file');
    }
    expect(await cli.run(`runs rejected ${runs.last}`)).toContain('no-such-group');
  });

  test('runs that changed nothing go after a year; what undo, why and the chain need stays, and rows stay counted', async () => {
    const { queues, store, clock } = muster;
    const rows = async () =>
      (await figuresOf({ queues, store, clock } as unknown as HttpContext)()).feeds.map((feed) => feed.rows);
    const before = await rows();
    days(366);
    await round();
    expect(await rows()).toEqual(before);
    expect(await has(runs.preview as string)).toBe(false);
    expect(await has(runs.rejected as string)).toBe(false);
    expect(await has(runs.noNews as string)).toBe(false);
    expect(await muster.store.batches.countDocuments(ofRun(runs.rejected as never))).toBe(0);
    expect(await has(runs.applied as string)).toBe(true);
    expect(await has(runs.last as string)).toBe(true);
    const why = await whyCourse(muster.context, await muster.learner('001'), await muster.course('welcome'));
    expect(why.groups).toMatchObject([{ sources: [{ since: { run: runs.applied } }] }]);
    while ((await sealAudit(muster.store)) > 0);
    expect((await verify(muster.context, { repair: false })).audit.breaks).toEqual([]);
  });

  test('a round sees to so many runs, and the next goes on; between two rounds lies an hour', async () => {
    const { rejectedLayout: _, ...last } = (await muster.store.runs.findOne({ _id: runs.last as never })) as RunDoc;
    const one = { ...last, state: 'planned' as const, preview: true, history: last.history.slice(0, 1) };
    await muster.store.runs.insertMany(Array.from({ length: 150 }, (_, at) => ({ ...one, _id: `x${at}` as never })));
    days(366);
    expect(await round()).toBeGreaterThanOrEqual(100);
    expect(await muster.store.runs.countDocuments({ _id: /^x/ })).toBe(50);
    expect(await round()).toBe(50);
    expect(await round()).toBe(0);
  });
});
