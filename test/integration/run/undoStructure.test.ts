import { beforeEach, describe, expect, test } from 'vitest';
import type { ExternalId, GroupId, RunId } from '../../../src/domain/ids.ts';
import { reportOf } from '../../../src/run/report.ts';
import { createGroup, deleteGroup, editGroup, moveGroup } from '../../../src/run/structureChange.ts';
import { undoRun } from '../../../src/run/undo.ts';
import { readStructure } from '../../../src/store/structure.ts';
import { useMuster } from '../../harness.ts';

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

test('a structure that lies in a circle can be mended by a move', async () => {
  const { a, b } = await groups('a', 'b');
  await move(b, a);
  await muster.store.groups.updateOne({ _id: a }, { $set: { parent: b } });
  await muster.store.meta.updateOne({ _id: 'structure' }, { $inc: { revision: 1 } });
  await move(a, null);
  expect(await parentOf(a)).toBeUndefined();
  await isTree();
});
