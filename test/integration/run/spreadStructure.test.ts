import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ChangedMeanwhile } from '../../../src/domain/errors.ts';
import type { CourseId, ExternalId, GroupId } from '../../../src/domain/ids.ts';
import { digest } from '../../../src/run/digest.ts';
import { grantCourse, revokeCourse } from '../../../src/run/grants.ts';
import { drainRun } from '../../../src/run/manual.ts';
import { removeMembers } from '../../../src/run/memberships.ts';
import { editGroup, linkCourses, moveGroup, spreadStructure, unlinkCourses } from '../../../src/run/structureChange.ts';
import { sweep } from '../../../src/run/sweep.ts';
import { undoRun } from '../../../src/run/undo.ts';
import { verify } from '../../../src/run/verify.ts';
import { memberIds } from '../../../src/store/learners.ts';
import type { RunDoc } from '../../../src/store/models.ts';
import { readRun } from '../../../src/store/runs.ts';
import type { Services } from '../../../src/store/services.ts';
import type { Store } from '../../../src/store/store.ts';
import { COMPANY, dying, HR, useMuster } from '../../harness.ts';

const muster = useMuster();
const by = 'ann';
const MEMBERS = 2_001;
let group: GroupId;

async function leave(n: number): Promise<void> {
  const learners = [await muster.learner(`p${n}`)];
  await removeMembers(muster.context, { group, learners, courses: 'expire', by });
}

const unspread = async () => (await muster.store.runs.findOne({ spread: { $exists: true } })) as RunDoc;

beforeAll(async () => {
  await muster.structure(COMPANY);
  await muster.feed(HR);
  const rows = Array.from({ length: MEMBERS }, (_, at) => `p${at},p${at}@x.org,First,Last,A,lone`);
  await muster.import(`EmployeeID,Mail,FirstName,LastName,Status,Groups\n${rows.join('\n')}\n`, { approve: true });
  group = await muster.group('lone');
  await muster.stopWorkers();
});

/** Services whose n-th transaction waits until something else has happened. */
function meanwhile(n: number, happens: () => Promise<unknown>): Services {
  let begun = 0;
  const transaction: Store['transaction'] = async (work) => {
    begun += 1;
    if (begun === n) await happens();
    return muster.store.transaction(work);
  };
  return { ...muster.context, store: { ...muster.store, transaction } };
}

describe('R2 R25: direct grants of `keep` that were made for a change of structure which then was not made', () => {
  /** Of the batches of members, each is granted in one transaction; then the groups are changed. */
  const CHANGE = Math.ceil(MEMBERS / 1_000) + 1;
  let course: CourseId;
  let before: string;
  const unlink = (services: Services, revision?: number) =>
    unlinkCourses(services, { group, courses: [course], option: 'keep', by, ...(revision && { revision }) });
  const revision = async () => (await muster.store.groups.findOne({ _id: group }))?.revision as number;
  const rename = (name: string) => editGroup(muster.context, { group, set: { name }, by });
  const granted = () => muster.store.subscriptions.countDocuments({ 'items.direct': true });

  beforeEach(async () => {
    course = await muster.course('safety');
    await linkCourses(muster.context, { group, courses: [course], by });
    before = await digest(muster.store);
  });

  test.each([2, CHANGE])(
    'R24: are taken back by a worker where the process was killed, in its transaction %i',
    async (n) => {
      await expect(unlink(dying(muster, n))).rejects.toThrow('killed');
      const { _id } = (await muster.store.runs.findOne({ keeping: { $exists: true } })) as RunDoc;
      await sweep(muster.context, muster.queues);
      expect(await granted()).toBe(Math.min(MEMBERS, (n - 1) * 1_000));
      muster.clock.forward(61_000);
      await sweep(muster.context, muster.queues);
      await drainRun(muster.context, _id);
      expect(await granted()).toBe(0);
      expect(await digest(muster.store)).toBe(before);
      expect(await readRun(muster.store, _id)).toMatchObject({ state: 'failed', error: { code: 'groups-unchanged' } });
      expect((await verify(muster.context, { repair: false })).drift).toEqual([]);
    },
  );

  test('R6: stay where the change is asked for again before they are taken back: it counts on them', async () => {
    await expect(unlink(dying(muster, CHANGE))).rejects.toThrow('killed');
    const { _id } = (await muster.store.runs.findOne({ keeping: { $exists: true } })) as RunDoc;
    const { run } = await unlink(muster.context);
    muster.clock.forward(61_000);
    await sweep(muster.context, muster.queues);
    await drainRun(muster.context, _id);
    expect(await readRun(muster.store, _id)).toMatchObject({ state: 'failed' });
    expect(await granted()).toBe(MEMBERS);
    const active = { items: { $elemMatch: { course, status: 'active' } } };
    expect(await muster.store.subscriptions.countDocuments(active as never)).toBe(MEMBERS);
    await linkCourses(muster.context, { group, courses: [course], by });
    await drainRun(muster.context, run);
    const learners = await memberIds(muster.store, [group]);
    await revokeCourse(muster.context, { course, learners, option: 'expire', by });
    expect(await digest(muster.store)).toBe(before);
  });

  test('R28: what waited for its settlement when they were made stands in the audit', async () => {
    const learner = await muster.learner('p1');
    await muster.store.subscriptions.deleteOne({ _id: learner });
    const { run } = await unlink(muster.context);
    const entries = await muster.store.audit.find({ '_id.run': run, learners: learner } as never).toArray();
    expect(entries.map(({ _id, counts }) => [_id.step, counts])).toEqual([
      ['keep-before', { subscribed: 1 }],
      ['keep', { kept: 1_000 }],
    ]);
    await undoRun(muster.context, { run, by });
    expect(await digest(muster.store)).toBe(before);
  });

  test('are never made where the group is another than the one that was read', async () => {
    const read = await revision();
    await rename('Alone');
    const runs = await muster.store.runs.countDocuments();
    await expect(unlink(muster.context, read)).rejects.toThrow(ChangedMeanwhile);
    expect(await muster.store.runs.countDocuments()).toBe(runs);
    await rename('Lone group');
  });

  test('are taken back where the group is changed while they are made', async () => {
    const read = await revision();
    await expect(
      unlink(
        meanwhile(CHANGE, () => rename('Alone')),
        read,
      ),
    ).rejects.toThrow(ChangedMeanwhile);
    expect(await granted()).toBe(0);
    await rename('Lone group');
    expect(await digest(muster.store)).toBe(before);
  });

  test('are made again, under the number of the run that changes the groups, where others change groups meanwhile', async () => {
    const other = await muster.group('sector-a');
    const renamed = () => editGroup(muster.context, { group: other, set: { name: 'Sector' }, by });
    const { run } = await unlink(meanwhile(CHANGE, renamed));
    await editGroup(muster.context, { group: other, set: { name: 'Sector A' }, by });
    expect(await granted()).toBe(MEMBERS);
    const made = await undoRun(muster.context, { run, by });
    expect(made).toMatchObject({ state: 'completed' });
    expect(await granted()).toBe(0);
    expect(await digest(muster.store)).toBe(before);
  });

  test('stay where a process that was taken for dead finds its grants taken back, and makes them again', async () => {
    const frozen = meanwhile(CHANGE, async () => {
      muster.clock.forward(61_000);
      await sweep(muster.context, muster.queues);
    });
    const { run } = await unlink(frozen);
    expect(await readRun(muster.store, run)).toMatchObject({ state: 'completed' });
    expect(await granted()).toBe(MEMBERS);
    await undoRun(muster.context, { run, by });
    expect(await digest(muster.store)).toBe(before);
  });
});

test('R10 R24: nobody is missed where the members of a change are cut into batches again after one of them left', async () => {
  const courses = [await muster.course('sales')];
  await expect(linkCourses(dying(muster, 2), { group, courses, by })).rejects.toThrow('killed');
  const run = await unspread();
  await leave(0);
  await spreadStructure(muster.context, run);
  await drainRun(muster.context, run._id);
  expect(await readRun(muster.store, run._id)).toMatchObject({ state: 'completed', batches: 3 });
  const held = await muster.store.subscriptions.countDocuments({ 'items.course': courses[0] as never });
  expect(held).toBe(MEMBERS - 1);
  expect((await verify(muster.context, { repair: false })).drift).toEqual([]);
});

test('R2: of a move with `keep` that was not made, nobody has what the new place would have given', async () => {
  await muster.structure({
    courses: ['lost', 'gained'].map((id) => ({ externalId: id as ExternalId, name: id })),
    groups: [
      { externalId: 'from' as ExternalId, name: 'From', courses: ['lost' as ExternalId] },
      { externalId: 'to' as ExternalId, name: 'To', courses: ['gained' as ExternalId] },
    ],
  });
  const move = async (services: Services, to: string, courses: 'keep' | 'expire') =>
    moveGroup(services, { group, parent: await muster.group(to), courses, by });
  await move(muster.context, 'from', 'expire');
  // What this one would lose is there by hand as well: no grant is made of it.
  await grantCourse(muster.context, {
    course: await muster.course('lost'),
    learners: [await muster.learner('p2')],
    by,
  });
  await expect(move(dying(muster, 3), 'to', 'keep')).rejects.toThrow('killed');
  const { _id } = (await muster.store.runs.findOne({ keeping: { $exists: true } })) as RunDoc;
  expect(await muster.subscriptions('p2')).toContain('gained: active');
  muster.clock.forward(61_000);
  await sweep(muster.context, muster.queues);
  await drainRun(muster.context, _id);
  for (const [n, lost] of [
    [2, 'lost: active*'],
    [3, 'lost: active'],
  ] as const) {
    expect(await muster.subscriptions(`p${n}`)).toEqual(expect.arrayContaining(['gained: expired', lost]));
  }
  expect((await verify(muster.context, { repair: false })).drift).toEqual([]);
});
