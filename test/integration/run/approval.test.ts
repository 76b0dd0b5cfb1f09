import { rmSync, writeFileSync } from 'node:fs';
import { beforeEach, describe, expect, test } from 'vitest';
import type { ExternalId, RunId } from '../../../src/domain/ids.ts';
import type { PlanPart } from '../../../src/domain/planPart.ts';
import { sourceFile } from '../../../src/feed/sources/file.ts';
import { approveOrPlanAgain, approveRun, planAgain, rejectRun, StalePlan } from '../../../src/run/approval.ts';
import { enqueueRun } from '../../../src/run/enqueue.ts';
import { executeRun } from '../../../src/run/execute.ts';
import { drainRun } from '../../../src/run/manual.ts';
import { addLearner, editLearner } from '../../../src/run/memberships.ts';
import { type RunReport, reportOf } from '../../../src/run/report.ts';
import { requestRun } from '../../../src/run/request.ts';
import { undoRun } from '../../../src/run/undo.ts';
import { latestRuns } from '../../../src/store/runs.ts';
import { COMPANY, HR, useMuster } from '../../harness.ts';
import { answered, TestApi } from '../http/asking.ts';

const muster = useMuster();
const HEADER = 'EmployeeID,Mail,FirstName,LastName,Status,Groups';
const by = 'ann';
let feed = '';
let nights = 0;

/** Rows of learners 1 … `count`; a row is groups, and where given an e-mail name. */
function sheet(count: number, row: (n: number) => string | null = () => 'sector-a'): string {
  const lines = Array.from({ length: count }, (_, at) => at + 1).flatMap((n) => {
    const [groups, mail = `p${n}`] = row(n)?.split(',') ?? [];
    return groups === undefined ? [] : [`${feed}-${n},${feed}-${mail}@x.org,First,Last,A,${groups}`];
  });
  return `${[HEADER, ...lines].join('\n')}\n`;
}

const load = (text: string, approve = false) => muster.import(text, { feed, approve });
const groupsOf = (n: number) => muster.memberships(`${feed}-${n}`);

async function approve({ run }: Pick<RunReport, 'run'>, part?: PlanPart): Promise<RunReport> {
  await approveRun(muster.context, run, by, part);
  await enqueueRun(muster.store, muster.queues, run);
  return reportOf(muster.store, await muster.settled(run));
}

beforeEach(async () => {
  nights += 1;
  if (nights === 1) await muster.structure(COMPANY);
  feed = `hr${nights}`;
  await muster.feed(`${HR.replace('name: hr', `name: ${feed}`)}unknownGroup: create\n`);
  await load(sheet(30), true);
});

describe('a held plan approved in part', () => {
  /** 1 to 5 join lone as well; 6 to 20 are in the file no more; 21 to 30 move. */
  const half = () => sheet(30, (n) => (n <= 5 ? 'sector-a;lone' : n <= 20 ? null : 'sector-b'));

  test('without its removals: what it adds is done, nobody loses anything, and the next run asks again', async () => {
    const held = await load(half());
    expect(held.state).toBe('held');
    const report = await approve(held, { kind: 'without-removals' });
    expect(report).toMatchObject({
      state: 'completed',
      approved: { part: 'without-removals', changes: 15, takenOut: 25 },
      memberships: { added: 15, removed: 0 },
      learners: { deactivated: 0 },
    });
    expect(report.guard.breaches).toEqual(held.guard.breaches);
    expect(await groupsOf(1)).toEqual([`lone: ${feed}`, `sector-a: ${feed}`]);
    expect(await groupsOf(6)).toEqual([`sector-a: ${feed}`]);
    expect(await groupsOf(21)).toEqual([`sector-a: ${feed}`, `sector-b: ${feed}`]);
    const again = await load(half());
    expect(again).toMatchObject({
      state: 'held',
      memberships: { added: 0, removed: 25 },
      learners: { deactivated: 15 },
    });
    expect(await approve(again)).toMatchObject({ state: 'completed', memberships: { removed: 25 } });
    expect(await groupsOf(21)).toEqual([`sector-b: ${feed}`]);
    expect(await load(half())).toMatchObject({ noChange: true });
  });

  test('row by row: only what these rows say is done; the others come up again', async () => {
    const held = await load(half());
    expect(await approve(held, { kind: 'only', rows: new Set([2, 7]) })).toMatchObject({
      approved: { part: 'only', changes: 2, takenOut: 28 },
      memberships: { added: 2, removed: 1 },
    });
    expect(await groupsOf(1)).toEqual([`lone: ${feed}`, `sector-a: ${feed}`]);
    expect(await groupsOf(2)).toEqual([`sector-a: ${feed}`]);
    expect(await groupsOf(21)).toEqual([`sector-b: ${feed}`]);
    expect(await load(half())).toMatchObject({ memberships: { added: 13, removed: 24 } });
  });

  test('without some learners, whose new groups and addresses wait with them', async () => {
    const text = () =>
      sheet(30, (n) => (n <= 20 ? `sector-b,p${n === 1 ? 2 : n === 2 ? 1 : n}` : n === 30 ? 'brand-new' : 'sector-a'));
    const held = await load(text());
    const learners = new Set([await muster.learner(`${feed}-1`), await muster.learner(`${feed}-30`)]);
    const report = await approve(held, { kind: 'except', learners });
    expect(report).toMatchObject({
      state: 'completed',
      setAside: 0,
      approved: { changes: 18, takenOut: 3 },
      groups: { created: 0 },
    });
    expect(await muster.store.learners.findOne({ externalId: `${feed}-1` as never })).toMatchObject({
      email: `${feed}-p1@x.org`,
    });
    expect(await groupsOf(1)).toEqual([`sector-a: ${feed}`]);
    await expect(muster.group('brand-new')).rejects.toThrow('no group');
    const rest = await load(text(), true);
    expect(rest).toMatchObject({ state: 'completed', setAside: 0, groups: { created: 1 } });
    expect(await muster.store.learners.findOne({ externalId: `${feed}-1` as never })).toMatchObject({
      email: `${feed}-p2@x.org`,
    });
    expect(await load(text())).toMatchObject({ noChange: true });
  });

  test('approved twice at once, in two ways, is applied in one of them', async () => {
    const held = await load(half());
    const both = await Promise.allSettled([
      approveRun(muster.context, held.run, by, { kind: 'without-removals' }),
      approveRun(muster.context, held.run, by, { kind: 'only', rows: new Set([2]) }),
    ]);
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    await enqueueRun(muster.store, muster.queues, held.run);
    const report = await reportOf(muster.store, await muster.settled(held.run));
    expect(report.memberships.added).toBe(report.approved?.part === 'only' ? 1 : 15);
    const attempts = new Set(
      (await muster.store.batches.find({ '_id.run': held.run }).toArray()).map(({ _id }) =>
        Math.floor(_id.batch / 1e6),
      ),
    );
    expect(attempts.size).toBe(2);
  });
});

const addByHand = (n: number) =>
  addLearner(muster.context, {
    identity: { externalId: `${feed}-${n}` as ExternalId, status: 'active', attributes: {} },
    by,
  });

/** The feed's run is applied when a person has made somebody whom it was to create. */
async function madeMeanwhile() {
  await muster.stopWorkers();
  const run = await muster.read(sheet(31), { feed, approve: true });
  const learner = await addByHand(31);
  await drainRun(muster.context, run._id);
  await muster.startWorkers();
  return { run, learner };
}

test('R20: a feed that meant to create whom a person made meanwhile has not created that learner', async () => {
  const { learner } = await madeMeanwhile();
  expect(await groupsOf(31)).toEqual([`sector-a: ${feed}`]);
  expect(await muster.store.learners.findOne({ _id: learner })).toMatchObject({ lastName: 'Last', holds: [{ feed }] });

  await load(sheet(30), true);
  expect(await groupsOf(31)).toEqual([]);
  expect(await muster.store.learners.findOne({ _id: learner })).toMatchObject({ status: 'active' });
});

test('R25: what a feed gave to whom a person made meanwhile is turned back whole', async () => {
  const { run, learner } = await madeMeanwhile();
  const undone = await undoRun(muster.context, { run: run._id, by, approve: true });
  await drainRun(muster.context, undone._id);
  expect(await muster.store.learners.findOne({ _id: learner })).toMatchObject({
    status: 'active',
    memberships: [],
    holds: [],
  });
});

describe('R30: a stale plan', () => {
  const touch = async (n: number) =>
    editLearner(muster.context, { learner: await muster.learner(`${feed}-${n}`), set: { lastName: 'New' }, by });

  test('is planned, guarded and held again from the same bytes, and takes the place of the old one', async () => {
    const held = await load(sheet(15));
    await touch(20);
    await expect(approveRun(muster.context, held.run, by)).rejects.toThrow(StalePlan);
    const again = await planAgain(muster.context, held.run, by);
    expect(again).toMatchObject({ state: 'held', feed });
    expect(await muster.store.runs.findOne({ _id: held.run })).toMatchObject({ state: 'superseded' });
    expect(await approve({ run: again?._id as never })).toMatchObject({
      state: 'completed',
      memberships: { removed: 15 },
    });
  });

  test('is refused where a part of it is approved, here and over the API: no run is made, and it is held still', async () => {
    const held = await load(sheet(15));
    await touch(20);
    const count = await muster.store.runs.countDocuments();
    const learners = new Set([await muster.learner(`${feed}-20`)]);
    const parts: PlanPart[] = [
      { kind: 'except', learners },
      { kind: 'without-removals' },
      { kind: 'only', rows: new Set([2]) },
    ];
    for (const part of parts)
      await expect(approveOrPlanAgain(muster.context, held.run, by, part)).rejects.toThrow(StalePlan);
    const api = new TestApi(muster);
    await api.open();
    const ask = async (body: object) => api.ask(await api.key('operator'), 'POST', `runs/${held.run}/approve`, body);
    for (const body of [{ withoutRemovals: true }, { except: [`${feed}-20`] }])
      expect(answered(409, await ask(body)).json()).toMatchObject({ type: 'urn:muster:stale-plan' });
    await api.app.close();
    expect(await muster.store.runs.countDocuments()).toBe(count);
    expect(await muster.store.runs.findOne({ _id: held.run })).toMatchObject({ state: 'held' });
    expect(await groupsOf(20)).toEqual([`sector-a: ${feed}`]);

    const again = await approveOrPlanAgain(muster.context, held.run, by);
    expect(again).toMatchObject({ state: 'held', feed });
    expect(await muster.store.runs.findOne({ _id: held.run })).toMatchObject({ state: 'superseded' });
    expect(await approve({ run: again._id }, { kind: 'except', learners })).toMatchObject({
      state: 'completed',
      memberships: { removed: 14 },
    });
    expect(await groupsOf(20)).toEqual([`sector-a: ${feed}`]);
  });

  test('that creates somebody who was made by hand meanwhile is refused, and planned anew as a change of that learner', async () => {
    const held = await load(sheet(31, (n) => (n > 15 ? 'sector-a' : null)));
    await addByHand(31);
    await expect(approveRun(muster.context, held.run, by)).rejects.toThrow(StalePlan);
    const again = await planAgain(muster.context, held.run, by);
    expect(again?.outcome).toMatchObject({ learners: { created: 0, updated: 1, deactivated: 15 } });
  });

  test("of a run that read the feed's own source too, while that has the same bytes", async () => {
    const file = await sourceFile(muster.file(sheet(15)));
    const run = await requestRun(muster.context, {
      feed,
      mode: 'full',
      preview: false,
      approve: false,
      by: 'schedule',
    });
    expect((await executeRun(muster.context, run, file)).source).toMatchObject({ name: file.name, bytes: file.bytes });
    await touch(20);
    expect(await planAgain(muster.context, run._id, by)).toMatchObject({ state: 'held', feed });
    const [again] = await latestRuns(muster.store, { feed, limit: 1 });
    writeFileSync(file.path, sheet(14));
    expect(await planAgain(muster.context, again?._id as RunId, by)).toBeUndefined();
  });

  test('keeps its copy of an upload for such: it goes when it has been kept for long enough', async () => {
    const file = await sourceFile(muster.file(sheet(15)));
    const { name, path, bytes } = file;
    const source = { name, path, bytes, temporary: true };
    const asked = { feed, mode: 'full', preview: false, approve: false, by, source } as const;
    const run = await executeRun(muster.context, await requestRun(muster.context, asked), file);
    await touch(20);
    expect((await planAgain(muster.context, run._id, by))?.source).toMatchObject({ path, temporary: true });
  });

  test('is refused where its file is not there any more', async () => {
    const held = await load(sheet(15));
    await touch(20);
    const run = await muster.store.runs.findOne({ _id: held.run });
    rmSync(run?.source.path as string);
    expect(await planAgain(muster.context, held.run, by)).toBeUndefined();
    expect(await muster.store.runs.findOne({ _id: held.run })).toMatchObject({ state: 'held' });
  });
});

test('what a plan took counts for the sums over time from when it was approved, however long it was held', async () => {
  const held = await load(sheet(15));
  muster.clock.forward(25 * 3_600_000);
  await approve(held);
  const { guard } = await load(sheet(14));
  expect(guard.breaches).toContainEqual({ limit: 'removed24hPercent', value: 53.3, max: 8, group: null });
});

test('R28: who approved and who rejected what is in the audit', async () => {
  const first = await load(sheet(15));
  await rejectRun(muster.context, first.run, by, 'half a file');
  const second = await load(sheet(16));
  await approve(second, { kind: 'without-removals' });
  const decisions = await muster.store.audit
    .find({ by, learners: [] as never })
    .sort({ at: 1 })
    .toArray();
  const mine = decisions.filter(({ _id }) => [first.run, second.run].includes(_id.run));
  expect(mine.map(({ _id, why }) => [_id.run, _id.step, why])).toEqual([
    [first.run, 'rejected', 'half a file'],
    [second.run, 'approved', 'approved without-removals: 0 changes, 14 left out'],
  ]);
});
