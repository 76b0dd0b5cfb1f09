import { setTimeout as pause } from 'node:timers/promises';
import { beforeAll, expect, test } from 'vitest';
import type { ExternalId } from '../../../src/domain/ids.ts';
import { applyBatch } from '../../../src/run/applyBatch.ts';
import { drainRun } from '../../../src/run/manual.ts';
import { addMembers } from '../../../src/run/memberships.ts';
import { createGroup, deleteGroup } from '../../../src/run/structureChange.ts';
import { verify } from '../../../src/run/verify.ts';
import type { BatchDoc } from '../../../src/store/models.ts';
import type { Store } from '../../../src/store/store.ts';
import { COMPANY, HR, useMuster } from '../../harness.ts';

const muster = useMuster();
const HEADER = 'EmployeeID,Mail,FirstName,LastName,Status,Groups\n';

beforeAll(async () => {
  await muster.structure(COMPANY);
  await muster.feed(HR);
  await muster.import(`${HEADER}1,,,,A,sector-a\n`);
});

const drift = async () => (await verify(muster.context, { repair: false })).drift;
const shortLived = () =>
  createGroup(muster.context, { name: 'Short-lived', externalId: 'short' as ExternalId, by: 'test' });

test('R10: what a feed applies after a group was deleted leaves the group out, and the feed holds so much less', async () => {
  const group = await shortLived();
  await muster.stopWorkers();
  const run = await muster.read(`${HEADER}1,,,,A,sector-a;short\n2,,,,A,short;sector-b\n`, { approve: true });
  await deleteGroup(muster.context, { group, courses: 'expire', by: 'test' });
  await muster.startWorkers();
  expect((await muster.settled(run._id)).state).toBe('completed');
  expect(await muster.memberships('1')).toEqual(['sector-a: hr']);
  expect(await muster.memberships('2')).toEqual(['sector-b: hr']);
  expect(await drift()).toEqual([]);
  expect((await muster.store.feeds.findOne({ _id: 'hr' }))?.held).toEqual({ learners: 2, memberships: 2 });
  // The next run reads the rows again, and says what is wrong with them.
  const next = await muster.import(`${HEADER}1,,,,A,sector-a;short\n2,,,,A,short;sector-b\n`);
  expect(next.problems).toMatchObject([{ code: 'unknown-group', count: 2 }]);
});

test('R10: nobody is put into a group by hand that was deleted after it was looked up', async () => {
  const group = await shortLived();
  const learners = [await muster.learner('1')];
  await deleteGroup(muster.context, { group, courses: 'expire', by: 'test' });
  await expect(addMembers(muster.context, { group, learners, by: 'test' })).rejects.toThrow('was deleted a moment ago');
  expect(await drift()).toEqual([]);
});

test('R10: a group that is deleted while a feed puts somebody into it has lost that member too', async () => {
  const group = await shortLived();
  await muster.stopWorkers();
  const { _id } = await muster.read(`${HEADER}1,,,,A,sector-a;short\n2,,,,A,sector-b\n`, { approve: true });
  const { store } = muster;
  const { _id: id } = (await store.batches.findOne({ '_id.run': _id })) as BatchDoc;
  let deleted: Promise<unknown> | undefined;
  const transaction: Store['transaction'] = (work) =>
    store.transaction(async (session) => {
      const result = await work(session);
      deleted ??= deleteGroup(muster.context, { group, courses: 'expire', by: 'test' });
      await pause(300);
      return result;
    });
  await applyBatch({ ...muster.context, store: Object.create(store, { transaction: { value: transaction } }) }, id);
  await deleted;
  await drainRun(muster.context, _id);
  await muster.startWorkers();
  expect((await muster.settled(_id)).state).toBe('completed');
  expect(await muster.memberships('1')).toEqual(['sector-a: hr']);
  expect(await drift()).toEqual([]);
});
