import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { RunId } from '../../../src/domain/ids.ts';
import type { PlanPart } from '../../../src/domain/planPart.ts';
import { approveRun } from '../../../src/run/approval.ts';
import { digest } from '../../../src/run/digest.ts';
import { grantCourse, revokeCourse } from '../../../src/run/grants.ts';
import { drainRun } from '../../../src/run/manual.ts';
import { addMembers, editLearner, removeMembers } from '../../../src/run/memberships.ts';
import { recordProgress } from '../../../src/run/progress.ts';
import { type RunReport, reportOf } from '../../../src/run/report.ts';
import { createGroup, deleteGroup, linkCourses } from '../../../src/run/structureChange.ts';
import { sweep } from '../../../src/run/sweep.ts';
import { endAbandonedUndos, undoRun } from '../../../src/run/undo.ts';
import { verify } from '../../../src/run/verify.ts';
import type { Store } from '../../../src/store/store.ts';
import { COMPANY, HR, useMuster } from '../../harness.ts';

const muster = useMuster();
const HEADER = 'EmployeeID,Mail,FirstName,LastName,Status,Groups';
const by = 'ann';
let feed = '';
let nights = 0;

/** Rows of one feed of its own for each test: `1,sector-a` or `1,sector-a,Name,mail`. */
function sheet(...rows: string[]): string {
  const lines = rows.map((row) => {
    const [n, groups, last = 'Last', mail = `p${n}`] = row.split(',');
    return `${feed}-${n},${feed}-${mail}@x.org,First,${last},A,${groups}`;
  });
  return `${[HEADER, ...lines].join('\n')}\n`;
}

const load = (...rows: string[]) => muster.import(sheet(...rows), { feed, approve: true });
const id = (n: number) => `${feed}-${n}`;

async function undo(run: RunId, approve = false): Promise<RunReport> {
  const made = await undoRun(muster.context, { run, by, approve });
  await drainRun(muster.context, made._id);
  return reportOf(muster.store, await muster.settled(made._id));
}

/** What the feed is said to hold, which the guard's percentages are of, is what is stored. */
async function countsWhatItHolds(): Promise<void> {
  const { store } = muster;
  const [memberships] = await store.learners
    .aggregate<{ count: number }>([
      { $unwind: '$memberships' },
      { $match: { 'memberships.sources.source': feed } },
      { $count: 'count' },
    ])
    .toArray();
  expect((await store.feeds.findOne({ _id: feed }))?.held).toEqual({
    learners: await store.learners.countDocuments({ holds: { $elemMatch: { feed, leftAt: { $exists: false } } } }),
    memberships: memberships?.count ?? 0,
  });
}

async function isWhole(): Promise<void> {
  await countsWhatItHolds();
  expect((await verify(muster.context, { repair: false })).drift).toEqual([]);
  expect(await muster.store.outbox.countDocuments()).toBe(0);
  expect(await muster.store.setAside.countDocuments()).toBe(0);
}

beforeAll(() => muster.structure(COMPANY));
beforeEach(async () => {
  nights += 1;
  feed = `hr${nights}`;
  await muster.feed(`${HR.replace('name: hr', `name: ${feed}`)}unknownGroup: create\n`);
});

describe('R25: a run of a feed', () => {
  test('is turned back: memberships, names, addresses that were swapped, leavers, and their subscriptions', async () => {
    await load('1,sector-a', '2,sector-b', '3,sector-a', '4,lone');
    const before = await digest(muster.store);
    const run = await load('1,sector-b,Other', '2,sector-b,Last,p4', '4,lone,Last,p2');
    expect(await digest(muster.store)).not.toBe(before);
    const report = await undo(run.run);
    expect(report).toMatchObject({
      kind: 'undo',
      state: 'completed',
      problems: [],
      memberships: { added: 2, removed: 1 },
    });
    // Of a course that the run had given anew, the expired subscription stays behind.
    await muster.store.subscriptions.updateOne(
      { _id: await muster.learner(id(1)) },
      {
        $pull: { items: { course: await muster.course('sales') } },
      },
    );
    expect(await digest(muster.store)).toBe(before);
    await isWhole();
  });

  test('takes from learners whom it created what it gave them; they are inactive, and nobody is deleted', async () => {
    const run = await load('1,sector-a');
    expect(await undo(run.run)).toMatchObject({ learners: { deactivated: 1 }, memberships: { removed: 1 } });
    expect(await muster.store.learners.findOne({ externalId: id(1) as never })).toMatchObject({
      status: 'inactive',
      memberships: [],
      holds: [],
    });
    expect(await muster.subscriptions(id(1))).toEqual(['safety: expired', 'welcome: expired']);
    await isWhole();
  });

  test('leaves what newer changes overtook, and lists it', async () => {
    await load('1,sector-a', '2,sector-a');
    const run = await load('1,sector-b,Berg', '2,sector-b');
    await editLearner(muster.context, { learner: await muster.learner(id(1)), set: { lastName: 'Cole' }, by });
    await removeMembers(muster.context, {
      group: await muster.group('sector-b'),
      learners: [await muster.learner(id(2))],
      courses: 'expire',
      by,
    });
    const report = await undo(run.run);
    expect(report.problems).toMatchObject([{ code: 'overtaken', count: 1 }]);
    expect(await muster.memberships(id(1))).toEqual([`sector-a: ${feed}`]);
    expect(await muster.memberships(id(2))).toEqual([`sector-a: ${feed}`]);
    expect(await muster.store.learners.findOne({ externalId: id(1) as never })).toMatchObject({ lastName: 'Cole' });
    const batches = await muster.store.batches.find({ '_id.run': report.run }).toArray();
    expect(batches.flatMap(({ overtaken = [] }) => overtaken)).toMatchObject([
      { field: 'lastName', why: 'it was changed since' },
    ]);
  });

  test('takes away groups that it made, where they are empty and unlinked then', async () => {
    await load('1,sector-a');
    const run = await load('1,sector-a;new-one', '2,new-two');
    await linkCourses(muster.context, {
      group: await muster.group('new-two'),
      courses: [await muster.course('sales')],
      by,
    });
    await undo(run.run);
    await expect(muster.group('new-one')).rejects.toThrow('no group');
    expect(await muster.group('new-two')).toBeGreaterThan(0);
    await isWhole();
  });

  test('is held under the guard of the feed, and done when approved; the feed then says what it thinks', async () => {
    const rows = Array.from({ length: 30 }, (_, at) => `${at},sector-a`);
    await load(...rows);
    const run = await load(...rows.map((row) => row.replace('sector-a', 'sector-b')));
    const held = await undoRun(muster.context, { run: run.run, by });
    expect(held).toMatchObject({ kind: 'undo', state: 'held', feed });
    expect(await muster.memberships(id(0))).toEqual([`sector-b: ${feed}`]);
    await approveRun(muster.context, held._id, by);
    await drainRun(muster.context, held._id);
    await muster.settled(held._id);
    expect(await muster.memberships(id(0))).toEqual([`sector-a: ${feed}`]);
    await countsWhatItHolds();
    await expect(approveRun(muster.context, held._id, by)).rejects.toThrow(/not held/);
    const again = await load(...rows.map((row) => row.replace('sector-a', 'sector-b')));
    expect(again).toMatchObject({ noChange: false, memberships: { added: 30, removed: 30 } });
  });

  test('that removed is turned back, and the counts of what the feed holds are those of what is stored', async () => {
    await load('1,sector-a', '2,sector-a;lone', '3,sector-a');
    const run = await load('1,sector-a');
    await countsWhatItHolds();
    const learners = [await muster.learner(id(2))];
    await addMembers(muster.context, { group: await muster.group('lone'), learners, by });
    await undo(run.run);
    expect(await muster.memberships(id(2))).toEqual([`lone: ${feed}+manual`, `sector-a: ${feed}`]);
    await isWhole();
  });

  test('an address that a third person holds by now is left where it is, and so is the one that would come free for it', async () => {
    await load('1,lone,Last,x', '2,lone,Last,y', '3,lone,Last,z');
    const run = await load('1,lone,Last,new', '2,lone,Last,x', '3,lone,Last,z');
    const mails = async () =>
      Promise.all(
        [1, 2, 3].map(async (n) => (await muster.store.learners.findOne({ externalId: id(n) as never }))?.email),
      );
    await editLearner(muster.context, { learner: await muster.learner(id(3)), set: { email: `${feed}-y@x.org` }, by });
    const before = await mails();
    expect(await undo(run.run)).toMatchObject({ problems: [{ code: 'overtaken', count: 2 }] });
    expect(await mails()).toEqual(before);
    await isWhole();
  });

  test('undone, can be undone again', async () => {
    await load('1,sector-a');
    const run = await load('1,sector-b');
    const first = await undo(run.run);
    await undo(first.run);
    expect(await muster.memberships(id(1))).toEqual([`sector-b: ${feed}`]);
    expect(await undo(first.run)).toMatchObject({ state: 'completed', noChange: true });
  });
});

describe('R25: a held undo that is approved in part', () => {
  /** So many that adding them again is held by the guard. */
  const everybody = Array.from({ length: 103 }, (_, at) => `${at},sector-b`);
  const [kept, left] = [1, 2];

  /** An undo, held by the guard, of a night on which everybody left; learner 0 has come back since. */
  async function heldUndo(courses: 'keep' | 'purge'): Promise<RunId> {
    await muster.feed(`${HR.replace('name: hr', `name: ${feed}`)}leaver: { courses: ${courses} }\n`);
    await load(...everybody);
    for (const at of [0, kept, left]) {
      const learner = await muster.learner(id(at));
      await recordProgress(muster.context, { learner, course: await muster.course('sales'), completion: 70 });
    }
    const { run } = await muster.import(sheet(...everybody).replaceAll(',A,', ',T,'), { feed, approve: true });
    await load(everybody[0] as string);
    const held = await undoRun(muster.context, { run, by });
    expect(held).toMatchObject({ state: 'held' });
    return held._id;
  }

  async function approve(run: RunId, part: PlanPart): Promise<RunReport> {
    await approveRun(muster.context, run, by, part);
    await drainRun(muster.context, run);
    return reportOf(muster.store, await muster.settled(run));
  }

  const except = async (n: number) => ({ kind: 'except' as const, learners: new Set([await muster.learner(id(n))]) });
  const completion = async (n: number) => {
    const _id = { learner: await muster.learner(id(n)), course: await muster.course('sales') };
    return (await muster.store.progress.findOne({ _id }))?.completion;
  };

  test('puts the purged results of all others back, those included who have no other change', async () => {
    const run = await heldUndo('purge');
    expect(await approve(run, await except(left))).toMatchObject({
      state: 'completed',
      approved: { changes: 102, takenOut: 1 },
      memberships: { added: 101 },
    });
    expect([await completion(0), await completion(kept), await completion(left)]).toEqual([70, 70, undefined]);
    expect(await muster.subscriptions(id(kept))).toEqual(['safety: active', 'sales: active', 'welcome: active']);
    expect(await muster.subscriptions(id(left))).toEqual([]);
    await isWhole();
  });

  test('takes the direct grants of all others back', async () => {
    const run = await heldUndo('keep');
    await approve(run, await except(left));
    expect(await muster.subscriptions(id(kept))).toEqual(['safety: active', 'sales: active', 'welcome: active']);
    expect(await muster.subscriptions(id(left))).toEqual(['safety: active*', 'sales: active*', 'welcome: active*']);
    await isWhole();
  });

  test('without its removals takes no direct grant back, and puts memberships back', async () => {
    const run = await heldUndo('keep');
    expect(await approve(run, { kind: 'without-removals' })).toMatchObject({
      approved: { changes: 102, takenOut: 103 },
    });
    expect(await muster.memberships(id(kept))).toEqual([`sector-b: ${feed}`]);
    expect(await muster.subscriptions(id(kept))).toEqual(['safety: active*', 'sales: active*', 'welcome: active*']);
    await isWhole();
  });

  test('is refused row by row, since it has no rows', async () => {
    const run = await heldUndo('keep');
    await expect(approve(run, { kind: 'only', rows: new Set([2]) })).rejects.toThrow(/--except/);
    expect(await muster.store.runs.findOne({ _id: run })).toMatchObject({ state: 'held' });
  });
});

test('R24: an undo whose process died before it began is ended, and can be ordered again', async () => {
  await load('1,sector-a');
  const run = await load('1,sector-b');
  const transaction = () => Promise.reject(new Error('killed'));
  const dying = { ...muster.context, store: { ...muster.store, transaction } as Store };
  await expect(undoRun(dying, { run: run.run, by })).rejects.toThrow('killed');
  const left = await muster.store.runs.findOne({ undoes: run.run });
  expect(left).toMatchObject({ kind: 'undo', state: 'planned' });

  await endAbandonedUndos(muster.context);
  expect(await muster.store.runs.findOne({ _id: left?._id as RunId })).toMatchObject({ state: 'planned' });
  muster.clock.forward(61_000);
  await sweep(muster.context, muster.queues);
  expect(await muster.store.runs.findOne({ _id: left?._id as RunId })).toMatchObject({
    state: 'cancelled',
    finishedAt: muster.clock.now(),
  });
  await undo(run.run);
  expect(await muster.memberships(id(1))).toEqual([`sector-a: ${feed}`]);
});

describe('R25: a change by hand', () => {
  test('a purge is turned back: subscription, progress and membership', async () => {
    await load('1,lone');
    const learner = await muster.learner(id(1));
    const group = await muster.group('sector-b');
    await addMembers(muster.context, { group, learners: [learner], by });
    await recordProgress(muster.context, { learner, course: await muster.course('sales'), completion: 70, score: 8 });
    const before = await digest(muster.store);
    const { run } = await removeMembers(muster.context, { group, learners: [learner], courses: 'purge', by });
    expect(await muster.subscriptions(id(1))).toEqual([]);
    await undo(run);
    expect(await digest(muster.store)).toBe(before);
    expect(await muster.store.purged.countDocuments({ '_id.run': run })).toBe(0);
    await isWhole();
  });

  test('R6: a grant of keep stays where the group is there no more, and is told: nothing else would give the course', async () => {
    await load('1,lone');
    const learners = [await muster.learner(id(1))];
    const group = await createGroup(muster.context, { name: 'Soon gone', by });
    await linkCourses(muster.context, { group, courses: [await muster.course('sales')], by });
    await addMembers(muster.context, { group, learners, by });
    const { run } = await removeMembers(muster.context, { group, learners, courses: 'keep', by });
    await deleteGroup(muster.context, { group, courses: 'keep', by });
    expect(await undo(run)).toMatchObject({ state: 'completed', problems: [{ code: 'overtaken', count: 2 }] });
    expect(await muster.subscriptions(id(1))).toEqual(['sales: active*']);
    await isWhole();
  });

  test('R11: of a purge, results that were made since stay, and those before are kept on', async () => {
    await load('1,lone');
    const learner = await muster.learner(id(1));
    const [group, course] = [await muster.group('sector-b'), await muster.course('sales')];
    const join = () => addMembers(muster.context, { group, learners: [learner], by });
    await join();
    await recordProgress(muster.context, { learner, course, completion: 100 });
    const { run } = await removeMembers(muster.context, { group, learners: [learner], courses: 'purge', by });
    await join();
    await recordProgress(muster.context, { learner, course, completion: 5 });
    const made = await undoRun(muster.context, { run, by });
    await drainRun(muster.context, made._id);
    const { overtaken } = (await muster.store.batches.findOne({ '_id.run': made._id } as never)) ?? {};
    expect(overtaken).toContainEqual({ learner, course, why: 'there are newer results, which stay' });
    expect(await muster.store.progress.findOne({ _id: { learner, course } })).toMatchObject({ completion: 5 });
    const _id = { learner, course, run };
    expect(await muster.store.purged.findOne({ _id })).toMatchObject({ progress: { completion: 100 } });
    await isWhole();
  });

  test('results that are gone for good are told', async () => {
    await load('1,sector-b');
    const learner = await muster.learner(id(1));
    const { run } = await removeMembers(muster.context, {
      group: await muster.group('sector-b'),
      learners: [learner],
      courses: 'purge',
      by,
    });
    await muster.store.purged.deleteMany({ '_id.run': run });
    expect((await undo(run)).problems).toMatchObject([{ code: 'overtaken', count: 3 }]);
    expect(await muster.memberships(id(1))).toEqual([`sector-b: ${feed}`]);
  });

  test('keep, grant and revoke are turned back', async () => {
    await load('1,sector-a');
    const learner = await muster.learner(id(1));
    const before = await digest(muster.store);
    const kept = await removeMembers(muster.context, {
      group: await muster.group('sector-a'),
      learners: [learner],
      courses: 'keep',
      by,
    });
    expect(await muster.subscriptions(id(1))).toEqual(['safety: active*', 'welcome: active*']);
    await undo(kept.run);
    expect(await digest(muster.store)).toBe(before);
    const course = await muster.course('sales');
    const granted = await grantCourse(muster.context, { course, learners: [learner], by });
    const revoked = await revokeCourse(muster.context, { course, learners: [learner], option: 'expire', by });
    await undo(revoked.run);
    expect(await muster.subscriptions(id(1))).toContain('sales: active*');
    await undo(granted.run);
    expect(await muster.subscriptions(id(1))).toContain('sales: expired');
    await isWhole();
  });

  test('a link and a new group are turned back, as far as they are still so', async () => {
    await load('1,lone');
    const group = await muster.group('lone');
    const linked = await linkCourses(muster.context, { group, courses: [await muster.course('welcome')], by });
    expect(await muster.subscriptions(id(1))).toEqual(['welcome: active']);
    expect(await undoRun(muster.context, { run: linked.run, by })).toMatchObject({
      kind: 'structure',
      state: 'completed',
      undoes: linked.run,
    });
    expect(await muster.subscriptions(id(1))).toEqual(['welcome: expired']);
    await expect(undoRun(muster.context, { run: linked.run, by })).rejects.toThrow(/nothing of it can be turned back/);
    await createGroup(muster.context, { name: 'Short-lived', externalId: `g-${feed}` as never, by });
    const made = await muster.store.runs.findOne({ kind: 'structure' }, { sort: { createdAt: -1, _id: -1 } });
    const entry = await muster.store.audit.findOne({ groups: await muster.group(`g-${feed}`) });
    expect(made).not.toBeNull();
    await undoRun(muster.context, { run: entry?._id.run as RunId, by });
    await expect(muster.group(`g-${feed}`)).rejects.toThrow('no group');
  });
});
