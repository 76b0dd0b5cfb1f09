import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { noting } from '../../../jobs/noting.ts';
import type { LearnerId, RunId } from '../../../src/domain/ids.ts';
import { approveRun, StalePlan } from '../../../src/run/approval.ts';
import { digest } from '../../../src/run/digest.ts';
import { drainRun } from '../../../src/run/manual.ts';
import { addLearner, editLearner } from '../../../src/run/memberships.ts';
import { reportOf } from '../../../src/run/report.ts';
import {
  discardItems,
  newcomerOf,
  type QueueItem,
  queueItem,
  queueItems,
  retryItem,
  retrySetAside,
} from '../../../src/run/retryQueue.ts';
import { sweep } from '../../../src/run/sweep.ts';
import { undoRun } from '../../../src/run/undo.ts';
import { viewQueue } from '../../../src/run/views/queueView.ts';
import type { RunDoc, SetAsideDoc } from '../../../src/store/models.ts';
import { openStore } from '../../../src/store/store.ts';
import { figure } from '../../faults/harness/figures.ts';
import { COMPANY, HR, useMuster } from '../../harness.ts';

const muster = useMuster();
const undisturbed = useMuster();
const HEADER = 'EmployeeID,Mail,FirstName,LastName,Status,Groups';
let night = 0;
const feed = () => `hr-${night}`;

/** Five people of one night, all of them new; `moved` of them in another group. */
function sheet(moved = 0): string {
  const rows = Array.from({ length: 5 }, (_, at) => {
    const id = `${night}-${at}`;
    return `${id},p${id}@x.org,First,Last,A,${at < moved ? 'sector-b' : 'sector-a'}`;
  });
  return `${[HEADER, ...rows].join('\n')}\n`;
}

async function items(filter: Parameters<typeof queueItems>[1] = {}): Promise<QueueItem[]> {
  const found: QueueItem[] = [];
  for await (const item of queueItems(muster.context, filter)) found.push(item);
  return found;
}

/** Someone takes the e-mail address of the second person between plan and application. */
async function setOneAside(text = sheet()): Promise<{ run: RunId; thief: LearnerId; item: QueueItem }> {
  await muster.stopWorkers();
  const run = await muster.read(text, { feed: feed() });
  const thief = await addLearner(muster.context, {
    identity: { email: `P${night}-1@x.org`, status: 'active', attributes: {} },
    by: 'test',
  });
  await muster.startWorkers();
  await muster.settled(run._id);
  const [item] = await items();
  return { run: run._id, thief, item: item as QueueItem };
}

/** An operation of a run that nobody knows. */
async function putAside(id: string): Promise<{ id: string; run: RunId }> {
  const run = 'r0' as RunId;
  await muster.store.setAside.insertOne({
    _id: id,
    run,
    batch: 1,
    feed: feed(),
    job: 'apply',
    learner: (1_000 + id.charCodeAt(0)) as LearnerId,
    groups: [],
    error: { code: 'test', message: 'test' },
    tries: [],
    retryAt: null,
    createdAt: muster.clock.now(),
  });
  return { id, run };
}

const report = async (run: RunId) => reportOf(muster.store, await muster.settled(run));
const free = (thief: LearnerId) =>
  editLearner(muster.context, { learner: thief, set: { email: `thief${night}@x.org` }, by: 'test' });

beforeAll(async () => {
  for (const one of [muster, undisturbed]) await one.structure(COMPANY);
});
beforeEach(async () => {
  night += 1;
  for (const one of [muster, undisturbed]) await one.feed(HR.replace('name: hr', `name: ${feed()}`));
});
afterEach(async () => {
  await muster.store.setAside.deleteMany({});
});

describe('R27: one operation that cannot be applied', () => {
  test('is called by the External ID that the feed gives, and found by it, though nobody of that is stored yet', async () => {
    const { item } = await setOneAside();
    const [view] = await viewQueue(muster.store, undefined, [item]);
    expect(view).toMatchObject({ learner: `${night}-1`, groups: ['sector-a'], bullmq: null });
    const newcomer = await newcomerOf(muster.store, `${night}-1`);
    expect(await items({ newcomer: newcomer as NonNullable<typeof newcomer> })).toHaveLength(1);
    expect(await newcomerOf(muster.store, `${night}-2`)).toBeUndefined();
  });

  test('is set aside with error, learner, group and tries, and does not stop the others', async () => {
    const { run, item } = await setOneAside();
    expect(item).toMatchObject({
      id: `${run}-1000001-${item.learner}`,
      state: 'set-aside',
      queue: 'apply',
      feed: feed(),
      groups: [await muster.group('sector-a')],
      tries: 1,
      error: { code: 'email-held' },
    });
    expect(await report(run)).toMatchObject({ state: 'completed', setAside: 1, subscriptions: { subscribed: 8 } });
    expect(await muster.memberships(`${night}-0`)).toEqual([`sector-a: ${feed()}`]);
    expect(await items({ error: 'email-held', feed: feed(), run, group: await muster.group('sector-a') })).toHaveLength(
      1,
    );
    expect(await items({ error: 'other' })).toEqual([]);
    expect(await items({ learner: 1 as LearnerId })).toEqual([]);
    expect(await items({ queue: 'purge' })).toEqual([]);
  });

  test('retried while its cause stands, fails again and keeps the history of its tries', async () => {
    const { item } = await setOneAside();
    expect(await retryItem(muster.context, item)).toMatchObject({ done: false, error: { code: 'email-held' } });
    expect(await queueItem(muster.context, item.id)).toMatchObject({ tries: 2, history: [{}, {}] });
  });

  test('retried when its cause has gone, ends as if it had succeeded at first', async () => {
    const { run, thief, item } = await setOneAside();
    await free(thief);
    expect(await retryItem(muster.context, item)).toEqual({ id: item.id, done: true, error: null });
    const first = await undisturbed.import(sheet(), { feed: feed() });
    const second = await report(run);
    expect(second).toMatchObject({ setAside: 0, subscriptions: first.subscriptions, memberships: first.memberships });
    expect(await muster.subscriptions(`${night}-1`)).toEqual(await undisturbed.subscriptions(`${night}-1`));
    await expect(queueItem(muster.context, item.id)).rejects.toThrow(/Nothing of the name/);
  });

  test('R13: gives way to a delta feed that names its learner, unless that is left out of what is approved', async () => {
    const rows = (...some: string[]) => `EmployeeID,Mail,Do,Groups\n${some.map((row) => `${night}-${row}\n`).join('')}`;
    await muster.feed(`name: ${feed()}
learner: { externalId: EmployeeID, email: Mail }
groups: [{ column: Groups }]
mode: delta
action: { column: Do }
guard: { membershipsRemoved: 0 }
`);
    const { item } = await setOneAside(rows(`1,p${night}-1@x.org,add,sector-a`, '2,,add,sector-a', '3,,add,sector-a'));
    for (const [row, part] of [
      ['2', { kind: 'only' as const, rows: new Set([2]) }],
      ['3', undefined],
    ] as const) {
      muster.clock.forward(1_000);
      const held = await muster.import(rows(`${row},,remove,sector-a`, '1,,add,sector-b'), { feed: feed() });
      expect(held).toMatchObject({ state: 'held' });
      await approveRun(muster.context, held.run, 'tester', part);
      await drainRun(muster.context, held.run);
      expect((await items()).map(({ id }) => id)).toEqual(part ? [item.id] : []);
    }
  });

  test('R13: is not retried while a run of its feed is at work, and no try is counted', async () => {
    const { run, thief, item } = await setOneAside();
    await free(thief);
    await muster.store.runs.updateOne({ _id: run }, { $set: { working: true } });
    const refused = await retryItem(muster.context, item);
    expect(refused).toMatchObject({
      done: false,
      error: { message: expect.stringContaining(`${run} of feed ${feed()} is at work`) },
    });
    expect(await queueItem(muster.context, item.id)).toMatchObject({ tries: 1 });
    await muster.store.runs.updateOne({ _id: run }, { $unset: { working: true } });
    expect(await retryItem(muster.context, item)).toMatchObject({ done: true });
  });

  test('is retried by the sweep when its time has come, and not before', async () => {
    const { thief, item } = await setOneAside();
    await free(thief);
    muster.clock.forward(59_000);
    await sweep(muster.context, muster.queues);
    expect(await items()).toHaveLength(1);
    muster.clock.forward(2_000);
    await sweep(muster.context, muster.queues);
    await expect.poll(() => items()).toEqual([]);
    expect(await muster.memberships(`${night}-1`)).toEqual([`sector-a: ${feed()}`]);
    expect(item.retryAt).not.toBeNull();
  });

  test('gives way to what a newer run of its feed finds at that learner', async () => {
    const { thief } = await setOneAside();
    await free(thief);
    muster.clock.forward(1_000);
    expect(await muster.import(sheet(2), { feed: feed() })).toMatchObject({ learners: { created: 1 } });
    expect(await items()).toEqual([]);
    expect(await muster.memberships(`${night}-1`)).toEqual([`sector-b: ${feed()}`]);
    expect(await muster.import(sheet(2), { feed: feed() })).toMatchObject({ noChange: true });
  });

  test('discarded, needs a reason, is in the audit, and the feed looks at the learner again', async () => {
    const { thief, item } = await setOneAside();
    await expect(discardItems(muster.context, [item.id], { by: 'ann', reason: ' ' })).rejects.toThrow(/needs a reason/);
    await discardItems(muster.context, [item.id], { by: 'ann', reason: 'double of another' });
    expect(await items()).toEqual([]);
    const audit = await muster.store.audit.findOne({ learners: item.learner as LearnerId, by: 'ann' });
    expect(audit).toMatchObject({ why: 'double of another', detail: { error: { code: 'email-held' } } });
    await free(thief);
    expect(await muster.import(sheet(), { feed: feed() })).toMatchObject({ noChange: false, learners: { created: 1 } });
    expect(await muster.memberships(`${night}-1`)).toEqual([`sector-a: ${feed()}`]);
  });
});

describe('R25: an operation that an undone run had set aside', () => {
  async function undo(run: RunId, approve = true): Promise<RunDoc> {
    const { _id } = await undoRun(muster.context, { run, by: 'ann', approve });
    await drainRun(muster.context, _id);
    return muster.settled(_id);
  }

  async function neverComes(): Promise<void> {
    expect(await items()).toEqual([]);
    muster.clock.forward(3_600_000);
    await sweep(muster.context, muster.queues);
    await expect(muster.learner(`${night}-1`)).rejects.toThrow('no learner');
  }

  test('is not done any more, not even where its retry had begun', async () => {
    const { run, thief, item } = await setOneAside();
    const doc = await muster.store.setAside.findOne({ _id: item.id });
    expect(await undo(run)).toMatchObject({ kind: 'undo', state: 'completed' });
    expect(await muster.memberships(`${night}-0`)).toEqual([]);
    await free(thief);
    expect(await retrySetAside(muster.context, doc as SetAsideDoc)).toBeNull();
    await neverComes();
  });

  test('is not done any more where there is nothing else to turn back', async () => {
    const { run, thief } = await setOneAside(sheet().split('\n').toSpliced(1, 1).toSpliced(2).join('\n').concat('\n'));
    expect((await undo(run)).outcome).toMatchObject({ noChange: true });
    await free(thief);
    await neverComes();
  });

  test('is not done any more once an undo that was held is approved', async () => {
    const { run, thief } = await setOneAside();
    await muster.feed(`${HR.replace('name: hr', `name: ${feed()}`)}guard: { membershipsRemoved: 0 }\n`);
    const held = await undo(run, false);
    expect(held.state).toBe('held');
    await approveRun(muster.context, held._id, 'ann');
    await drainRun(muster.context, held._id);
    await free(thief);
    await neverComes();
  });

  test('R30: and that was done since, makes the undo stale that was held', async () => {
    const { run, thief, item } = await setOneAside();
    await muster.feed(`${HR.replace('name: hr', `name: ${feed()}`)}guard: { membershipsRemoved: 0 }\n`);
    const held = await undo(run, false);
    await free(thief);
    expect(await retryItem(muster.context, item)).toMatchObject({ done: true });
    await expect(approveRun(muster.context, held._id, 'ann')).rejects.toThrow(StalePlan);
    await undo(run);
    expect(await muster.memberships(`${night}-1`)).toEqual([]);
  });
});

describe('R27: in a delta feed, an operation that was set aside', () => {
  const DELTA = 'mode: delta\naction: { column: Do, add: [add], remove: [remove] }\n';
  const delta = (what: string, mail = `own${night}@x.org`) =>
    `${HEADER},Do\n${night}-1,${mail},First,Last,A,sector-a,${what}\n`;

  /** Joining `sector-a` could not be applied, since somebody has taken the address. */
  async function joinSetAside(): Promise<LearnerId> {
    await muster.feed(`${HR.replace('name: hr', `name: ${feed()}`)}${DELTA}`);
    await muster.import(delta('add').replace('sector-a', 'lone'), { feed: feed() });
    return (await setOneAside(delta('add', `p${night}-1@x.org`))).thief;
  }

  test('gives way to what a later one says of that learner, though that changes nothing', async () => {
    const thief = await joinSetAside();
    expect(await items()).toHaveLength(1);
    expect(await muster.import(delta('remove'), { feed: feed() })).toMatchObject({ memberships: { removed: 0 } });
    expect(await items()).toEqual([]);
    await free(thief);
    muster.clock.forward(3_600_000);
    await sweep(muster.context, muster.queues);
    expect(await muster.memberships(`${night}-1`)).toEqual([`lone: ${feed()}`]);
  });

  test('waits on where later ones speak of others alone', async () => {
    await joinSetAside();
    await muster.import(delta('add').replaceAll(`${night}-1`, `${night}-2`).replace('own', 'other'), { feed: feed() });
    expect(await items()).toHaveLength(1);
  });
});

test('of several operations those alone are called discarded that were: each once, and none that somebody else has done meanwhile', async () => {
  for (const id of ['a', 'b', 'c']) await putAside(id);
  const { setAside } = muster.store;
  const findOneAndDelete = setAside.findOneAndDelete.bind(setAside);
  Object.assign(setAside, {
    findOneAndDelete: async (...asked: Parameters<typeof findOneAndDelete>) => {
      await setAside.deleteOne({ _id: 'b' });
      return findOneAndDelete(...asked);
    },
  });
  const order = { by: 'ann', reason: 'doubles' };
  const discarded = await discardItems(muster.context, ['a', 'b', 'c', 'a'], order).finally(() => {
    Object.assign(setAside, { findOneAndDelete });
  });
  expect(discarded).toEqual(['a', 'c']);
  expect(await items()).toEqual([]);
  await expect(discardItems(muster.context, ['a'], order)).rejects.toThrow(/Nothing of the name a/);
});

test('R27: a learner who cannot be settled is set aside, and the others of the batch are settled', async () => {
  await muster.stopWorkers();
  const run = await muster.read(sheet(), { feed: feed() });
  const { changes } = (await muster.store.batches.findOne({ '_id.run': run._id })) ?? { changes: [] };
  const broken = changes[1]?.learner as LearnerId;
  await muster.store.subscriptions.insertOne({ _id: broken, revision: 1, items: 5 as never });
  await muster.startWorkers();
  await muster.settled(run._id);
  const [item] = await items();
  expect(item).toMatchObject({ queue: 'subscribe', learner: broken, error: { code: 'TypeError' } });
  expect(await muster.subscriptions(`${night}-0`)).toEqual(['safety: active', 'welcome: active']);
  await muster.store.subscriptions.deleteOne({ _id: broken });
  expect(await retryItem(muster.context, item as QueueItem)).toMatchObject({ done: true });
  expect(await muster.subscriptions(`${night}-1`)).toEqual(['safety: active', 'welcome: active']);
  expect(await report(run._id)).toMatchObject({ setAside: 0, subscriptions: { subscribed: 10 } });
});

test('a job that fails leaves its error and its next time with the entry, and BullMQ its state', async () => {
  await muster.stopWorkers();
  const run = await muster.read(sheet(), { feed: feed() });
  const _id = { run: run._id, batch: 1_000_001 };
  const failing = noting(muster.context, _id, 'apply', () => Promise.reject(new Error('no luck')));
  await expect(failing).rejects.toThrow('no luck');
  const [item] = await items({ run: run._id });
  expect(item).toMatchObject({ id: `${run._id}-1000001`, state: 'failed', error: { message: 'no luck' } });
  expect(((item as QueueItem).retryAt as Date).getTime()).toBeGreaterThan(muster.clock.now().getTime());
  expect(await viewQueue(muster.store, muster.queues, [item as QueueItem])).toMatchObject([{ bullmq: 'waiting' }]);
  const aside = await putAside('one');
  await expect(
    discardItems(muster.context, [aside.id, (item as QueueItem).id], { by: 'ann', reason: 'x' }),
  ).rejects.toThrow(/goes on to its end/);
  expect(await items({ run: aside.run })).toHaveLength(1);
  expect(await retryItem(muster.context, item as QueueItem)).toMatchObject({ done: true });
  expect(await report(run._id)).toMatchObject({ state: 'completed' });
  await muster.startWorkers();
});

describe('fault 6: a batch that kills its worker each time', () => {
  /** A worker that is cut off from the database for good as soon as it reads one learner for its work. True: it was. */
  async function workUntilCutOff(run: RunId, collection: string, learner: LearnerId): Promise<boolean> {
    const store = await openStore(muster.mongodbUri, { monitorCommands: true });
    let closing: Promise<void> | undefined;
    store.connection.getClient().on('commandStarted', ({ command }) => {
      if (command.find === collection && command.filter._id?.$in?.includes(learner)) closing ??= store.close();
    });
    const end = await drainRun({ ...muster.context, store }, run).then(
      () => 'done',
      () => 'cut off',
    );
    await (closing ?? store.close());
    return end === 'cut off';
  }

  async function workUntilDone(run: RunId, collection: string, learner: LearnerId): Promise<number> {
    for (let died = 0; died < 15; died += 1) if (!(await workUntilCutOff(run, collection, learner))) return died;
    throw new Error('15 workers died, and the run is not at its end.');
  }

  test.each(['learners', 'subscriptions'])(
    'blast radius 1, at reading %s',
    { timeout: 120_000 },
    async (collection) => {
      await muster.import(sheet(), { feed: feed() });
      await muster.stopWorkers();
      const run = await muster.read(sheet(5), { feed: feed(), approve: true });
      const { changes } = (await muster.store.batches.findOne({ '_id.run': run._id })) ?? { changes: [] };
      const victim = changes[2]?.learner as LearnerId;
      const died = await workUntilDone(run._id, collection, victim);
      expect(died).toBeGreaterThanOrEqual(6);
      const [item, ...others] = await items();
      expect(others).toEqual([]);
      expect(item).toMatchObject({ learner: victim, error: { code: 'worker-died' }, retryAt: null });
      expect(await report(run._id)).toMatchObject({
        state: 'completed',
        setAside: 1,
        subscriptions: { subscribed: 4 },
      });
      expect(await retryItem(muster.context, item as QueueItem)).toMatchObject({ done: true });
      expect(await report(run._id)).toMatchObject({ setAside: 0, subscriptions: { subscribed: 5 } });
      figure('6', collection, `at reading ${collection}: ${died} workers died, blast radius 1 of 5 learners`);
      await undisturbed.import(sheet(), { feed: feed() });
      await undisturbed.import(sheet(5), { feed: feed(), approve: true });
      expect(await muster.subscriptions(`${night}-2`)).toEqual(await undisturbed.subscriptions(`${night}-2`));
      await muster.startWorkers();
    },
  );
});

test('nothing is left behind that a digest would show', async () => {
  expect(await digest(muster.store)).toMatch(/^[0-9a-f]{64}$/);
  expect(await muster.store.outbox.countDocuments()).toBe(0);
});
