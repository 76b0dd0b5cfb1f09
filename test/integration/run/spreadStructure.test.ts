import { beforeAll, expect, test } from 'vitest';
import type { GroupId } from '../../../src/domain/ids.ts';
import { drainRun } from '../../../src/run/manual.ts';
import { removeMembers } from '../../../src/run/memberships.ts';
import { linkCourses, spreadStructure } from '../../../src/run/structureChange.ts';
import { verify } from '../../../src/run/verify.ts';
import type { RunDoc } from '../../../src/store/models.ts';
import { readRun } from '../../../src/store/runs.ts';
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
