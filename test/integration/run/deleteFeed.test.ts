import { expect, test } from 'vitest';
import { sourceFile } from '../../../src/feed/sources/file.ts';
import { deleteFeed } from '../../../src/run/deleteFeed.ts';
import { requestRun } from '../../../src/run/request.ts';
import { sweep } from '../../../src/run/sweep.ts';
import { readFeedDoc } from '../../../src/store/feeds.ts';
import type { FeedDoc } from '../../../src/store/models.ts';
import { readRun } from '../../../src/store/runs.ts';
import { HR, useMuster } from '../../harness.ts';

const muster = useMuster();

test('R22: a run that waits when its feed is deleted is cancelled, and says by what', async () => {
  await muster.stopWorkers();
  await muster.feed(HR);
  const { name, path, bytes } = await sourceFile(muster.file('EmployeeID,Groups\n'));
  const request = { feed: 'hr', mode: 'full' as const, approve: false, by: 'test', source: { name, path, bytes } };
  const waiting = await requestRun(muster.context, { ...request, preview: false });
  const preview = await requestRun(muster.context, { ...request, preview: true });

  await deleteFeed(muster.context, (await readFeedDoc(muster.store, 'hr')) as FeedDoc);

  for (const { _id } of [waiting, preview]) {
    expect(await readRun(muster.store, _id)).toMatchObject({
      state: 'cancelled',
      finishedAt: muster.clock.now(),
      history: [{ state: 'queued' }, { state: 'cancelled', by: 'feeds delete' }],
    });
  }
  expect(await readFeedDoc(muster.store, 'hr')).toBeNull();
});

test('R24: a preview whose reader was killed, and whose feed is gone, ends', async () => {
  await muster.feed(HR);
  const { name, path, bytes } = await sourceFile(muster.file('EmployeeID,Groups\n'));
  const request = { feed: 'hr', mode: 'full' as const, approve: false, by: 'test', source: { name, path, bytes } };
  const { _id } = await requestRun(muster.context, { ...request, preview: true });
  await muster.store.runs.updateOne({ _id }, { $set: { state: 'reading', attempt: 1 } });
  await deleteFeed(muster.context, (await readFeedDoc(muster.store, 'hr')) as FeedDoc);
  await muster.startWorkers();
  await sweep(muster.context, muster.queues);
  expect(await muster.settled(_id)).toMatchObject({ state: 'failed', error: { code: 'feed-gone' } });
});
