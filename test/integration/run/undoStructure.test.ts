import { beforeEach, describe, expect, test } from 'vitest';
import type { RemovalOption } from '../../../src/domain/change.ts';
import type { CourseId, ExternalId, GroupId, LearnerId, RunId } from '../../../src/domain/ids.ts';
import { digest } from '../../../src/run/digest.ts';
import { drainRun } from '../../../src/run/manual.ts';
import { addLearner, addMembers } from '../../../src/run/memberships.ts';
import { recordProgress } from '../../../src/run/progress.ts';
import { reportOf } from '../../../src/run/report.ts';
import {
  addCourse,
  createGroup,
  deleteGroup,
  editGroup,
  linkCourses,
  moveGroup,
  spreadStructure,
  unlinkCourses,
} from '../../../src/run/structureChange.ts';
import { undoRun } from '../../../src/run/undo.ts';
import { changesOf } from '../../../src/run/views/changesView.ts';
import type { RunDoc } from '../../../src/store/models.ts';
import { readRun } from '../../../src/store/runs.ts';
import { readStructure } from '../../../src/store/structure.ts';
import { dying, useMuster } from '../../harness.ts';

const muster = useMuster();
const by = 'ann';
let count = 0;

/** Groups by name, of each test's own: `a`, `a/b` for one that lies in another. */
async function groups<Name extends string>(...paths: Name[]): Promise<Record<Name, GroupId>> {
  const made = new Map<string, GroupId>();
  for (const path of paths) {
    const parent = made.get(path.slice(0, path.lastIndexOf('/')));
    const externalId = `${path.split('/').at(-1)}-${count}` as ExternalId;
    made.set(path, await createGroup(muster.context, { name: path, externalId, ...(parent && { parent }), by }));
  }
  return Object.fromEntries(made) as Record<Name, GroupId>;
}

const move = (group: GroupId, parent: GroupId | null) =>
  moveGroup(muster.context, { group, parent, courses: 'expire', by });

const parentOf = async (group: GroupId) => (await readStructure(muster.store)).group(group)?.parent;

async function undo(run: RunId) {
  const made = await undoRun(muster.context, { run, by });
  return reportOf(muster.store, await muster.settled(made._id));
}

/** No group lies in a circle, or in one that is not there. */
async function isTree(): Promise<void> {
  const structure = await readStructure(muster.store);
  for (const { id, parent } of structure.groups) {
    if (parent === undefined) continue;
    expect(structure.group(parent)).toBeDefined();
    expect(structure.wouldCircle(id, parent)).toBe(false);
  }
}

beforeEach(() => {
  count += 1;
});

describe('R25: a change of structure that newer ones have overtaken stays as it is, and is listed', () => {
  test('where the group that it lay in lies below it by now, so that turning it back would make a circle', async () => {
    const { x, 'x/a': a, y } = await groups('x', 'x/a', 'y');
    const { run } = await move(a, y);
    await move(x, a);
    await expect(undo(run)).rejects.toThrow(`a-${count} stays as it is: it would lie in a circle`);
    expect(await parentOf(a)).toBe(y);
    await isTree();
  });

  test('where the group that it lay in is there no more', async () => {
    const { x, 'x/a': a, y } = await groups('x', 'x/a', 'y');
    const { run } = await move(a, y);
    await deleteGroup(muster.context, { group: x, courses: 'expire', by });
    await expect(undo(run)).rejects.toThrow('the group that it lay in is there no more');
    expect(await parentOf(a)).toBe(y);
    await isTree();
  });

  test('where another group has its External ID by now', async () => {
    const { a, b } = await groups('a', 'b');
    const { run } = await editGroup(muster.context, { group: a, set: { externalId: null }, by });
    await editGroup(muster.context, { group: b, set: { externalId: `a-${count}` as ExternalId }, by });
    await expect(undo(run)).rejects.toThrow('another group has its External ID by now');
  });

  test('in part: of a deleted group with its children, those that were moved since', async () => {
    const made = await groups('top', 'top/mid', 'top/mid/one', 'top/mid/two');
    const { run } = await deleteGroup(muster.context, { group: made['top/mid'], courses: 'expire', by });
    await move(made['top/mid/one'], null);
    const { problems } = await undo(run);
    expect(problems).toEqual([
      { row: null, code: 'overtaken', message: `Group one-${count} stays as it is: it was changed since.`, count: 1 },
    ]);
    expect(await parentOf(made['top/mid'])).toBe(made.top);
    expect(await parentOf(made['top/mid/two'])).toBe(made['top/mid']);
    expect(await parentOf(made['top/mid/one'])).toBeUndefined();
    await isTree();
  });

  test('with what hangs on it: the children of a deleted group that cannot come back', async () => {
    const made = await groups('top', 'top/mid', 'top/mid/one');
    const { run } = await deleteGroup(muster.context, { group: made['top/mid'], courses: 'expire', by });
    await editGroup(muster.context, { group: made.top, set: { externalId: `mid-${count}` as ExternalId }, by });
    await expect(undo(run)).rejects.toThrow(/one-[0-9]+ stays as it is: the group that it lay in is there no more/);
    expect(await parentOf(made['top/mid/one'])).toBe(made.top);
  });
});

test('R25: groups that one run made go with it, those that lie in one another too', async () => {
  const named = (name: string) => `${name}-${count}` as ExternalId;
  await muster.structure({
    courses: [],
    groups: [
      { externalId: named('over'), name: 'Over' },
      { externalId: named('under'), name: 'Under', parent: named('over') },
    ],
  });
  const entry = await muster.store.audit.findOne({ groups: await muster.group(named('under')) });
  await undo(entry?._id.run as RunId);
  await expect(muster.group(named('over'))).rejects.toThrow('no group');
  await expect(muster.group(named('under'))).rejects.toThrow('no group');
});

describe('R25: what a change of structure did to the courses of its members', () => {
  let group: GroupId;
  let learner: LearnerId;
  let course: CourseId;
  const name = () => `p-${count}`;
  const unlink = (option: RemovalOption) => unlinkCourses(muster.context, { group, courses: [course], option, by });

  beforeEach(async () => {
    group = (await groups('g')).g;
    course = await addCourse(muster.context, { name: 'Course', externalId: `c-${count}` as ExternalId, by });
    const identity = { externalId: name() as ExternalId, status: 'active' as const, attributes: {} };
    learner = await addLearner(muster.context, { identity, by });
    await addMembers(muster.context, { group, learners: [learner], by });
    await linkCourses(muster.context, { group, courses: [course], by });
    await recordProgress(muster.context, { learner, course, completion: 70 });
  });

  test('R11: purged results are put back with the link', async () => {
    const before = await digest(muster.store);
    const { run } = await unlink('purge');
    expect(await muster.subscriptions(name())).toEqual([]);
    expect(await undo(run)).toMatchObject({ kind: 'structure', state: 'completed', problems: [] });
    expect(await digest(muster.store)).toBe(before);
    expect(await muster.store.purged.countDocuments()).toBe(0);
    await expect(undo(run)).rejects.toThrow('nothing of it can be turned back');
  });

  test('R11: purged results are put back also where the link came back by hand, and told once they are gone', async () => {
    const { run } = await unlink('purge');
    await linkCourses(muster.context, { group, courses: [course], by });
    const before = await digest(muster.store);
    await undo(run);
    expect(await digest(muster.store)).not.toBe(before);
    expect(await muster.store.progress.findOne({ _id: { learner, course } })).toMatchObject({ completion: 70 });
    const again = await unlink('purge');
    await muster.store.purged.deleteMany({});
    const undone = await undo(again.run);
    expect(undone.problems).toMatchObject([{ code: 'overtaken', count: 1 }]);
    expect(await muster.subscriptions(name())).toEqual([`c-${count}: active`]);
    const stored = (await readRun(muster.store, undone.run)) as RunDoc;
    const told: unknown[] = [];
    for await (const change of changesOf(muster.context, stored)) told.push(...change.overtaken);
    expect(told).toEqual([`c-${count}: its results are gone for good`]);
  });

  test('direct grants that `keep` made are taken back, and made again by undoing that', async () => {
    const before = await digest(muster.store);
    const { run } = await unlink('keep');
    expect(await muster.subscriptions(name())).toEqual([`c-${count}: active*`]);
    const undone = await undo(run);
    expect(await digest(muster.store)).toBe(before);
    await undo(undone.run);
    expect(await muster.subscriptions(name())).toEqual([`c-${count}: active*`]);
  });

  test('R24: a worker goes on with an undo that was killed when the groups were back', async () => {
    const before = await digest(muster.store);
    const { run } = await unlink('purge');
    await muster.stopWorkers();
    await expect(undoRun(dying(muster, 2), { run, by })).rejects.toThrow('killed');
    const made = (await muster.store.runs.findOne({ undoes: run })) as RunDoc;
    await spreadStructure(muster.context, made);
    await drainRun(muster.context, made._id);
    await muster.startWorkers();
    expect(await digest(muster.store)).toBe(before);
    expect(await readRun(muster.store, made._id)).toMatchObject({ state: 'completed', batches: 2 });
  });

  test('nothing is left behind by an undo that is refused', async () => {
    const { run } = await unlink('keep');
    await linkCourses(muster.context, { group, courses: [course], by });
    const batches = await muster.store.batches.countDocuments();
    await expect(undo(run)).rejects.toThrow('nothing of it can be turned back');
    expect(await muster.store.batches.countDocuments()).toBe(batches);
  });
});

test('a structure that lies in a circle can be mended by a move', async () => {
  const { a, b } = await groups('a', 'b');
  await move(b, a);
  await muster.store.groups.updateOne({ _id: a }, { $set: { parent: b } });
  await muster.store.meta.updateOne({ _id: 'structure' }, { $inc: { revision: 1 } });
  await move(a, null);
  expect(await parentOf(a)).toBeUndefined();
  await isTree();
});
