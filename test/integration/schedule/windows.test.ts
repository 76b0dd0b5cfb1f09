import { beforeAll, describe, expect, inject, test } from 'vitest';
import { jobs } from '../../../jobs/all.ts';
import type { Group } from '../../../src/domain/structure.ts';
import { Queues } from '../../../src/queue/queues.ts';
import { connectRedis } from '../../../src/queue/redis.ts';
import { approveRun } from '../../../src/run/approval.ts';
import { drainRun } from '../../../src/run/manual.ts';
import { addMembers } from '../../../src/run/memberships.ts';
import { recordProgress } from '../../../src/run/progress.ts';
import { createGroup, deleteGroup, linkCourses, unlinkCourses } from '../../../src/run/structureChange.ts';
import { sweep } from '../../../src/run/sweep.ts';
import { undoRun } from '../../../src/run/undo.ts';
import { previewStructure } from '../../../src/run/views/purgePreview.ts';
import { StallingProxy } from '../../faults/harness/proxy.ts';
import { COMPANY, HR, useMuster } from '../../harness.ts';

const muster = useMuster();
const MINUTE = 60_000;
const FROM = Date.UTC(2026, 1, 1);
const UNTIL = Date.UTC(2026, 2, 1);
const FEED = `${HR}window: { from: From, until: Until }\n`;
const HEADER = 'EmployeeID,Mail,FirstName,LastName,Status,Groups,From,Until\n';

/** One round at a moment, as each worker does it every second; the jobs that it enqueues are done. */
async function roundAt(moment: number): Promise<string[]> {
  muster.clock.set(new Date(moment));
  await sweep(muster.context, muster.queues);
  for (const { _id } of await muster.store.runs.find({ kind: 'window' }).toArray()) await muster.settled(_id);
  return muster.subscriptions('1');
}

beforeAll(async () => {
  await muster.structure(COMPANY);
  await muster.feed(FEED);
});

test('R5, fault 8: windows open while Redis is away', async () => {
  await muster.import(`${HEADER}7,g@x.org,Gus,G,A,sector-a,2026-01-11,\n`);
  await muster.stopWorkers();
  const redis = connectRedis('redis://127.0.0.1:9', 'producer', () => undefined);
  const away = new Queues(redis, 'away', jobs);
  muster.clock.set('2026-01-11T00:00:00Z');
  const round = async () => {
    await expect(sweep(muster.context, away)).rejects.toThrow('retries');
    return muster.subscriptions('7');
  };
  // A round of the workers that were stopped may still be making the same run.
  await expect.poll(round).toEqual(['safety: active', 'welcome: active']);
  redis.disconnect();
  await muster.startWorkers();
});

test('R5, fault 9: windows open while Redis takes no bytes', async () => {
  muster.clock.set('2026-01-11T12:00:00Z');
  await muster.import(`${HEADER}8,h@x.org,Hal,H,A,sector-a,2026-01-12,\n`);
  await muster.stopWorkers();
  const url = new URL(inject('redisUrl'));
  const proxy = await StallingProxy.open(Number(url.port));
  url.port = String(proxy.port);
  const queues = new Queues(
    connectRedis(url.href, 'producer', () => undefined),
    muster.queues.prefix,
    jobs,
  );
  await queues.redis.ping();
  proxy.stall();
  muster.clock.set('2026-01-12T00:00:00Z');
  await expect(sweep(muster.context, queues)).rejects.toThrow('no answer');
  expect(await muster.subscriptions('8')).toEqual(['safety: active', 'welcome: active']);
  queues.redis.disconnect();
  await proxy.close();
  await muster.startWorkers();
});

describe('R5: a window opens and closes by itself', () => {
  test('not before its time, and within a minute of it', async () => {
    expect(await muster.import(`${HEADER}1,a@x.org,Ann,A,A,sector-a,2026-02-01,2026-03-01\n`)).toMatchObject({
      state: 'completed',
    });
    expect(await roundAt(FROM - 1)).toEqual([]);
    expect(await roundAt(FROM)).toEqual(['safety: active', 'welcome: active']);
    expect(await roundAt(UNTIL - 1)).toEqual(['safety: active', 'welcome: active']);
    expect(await roundAt(UNTIL)).toEqual(['safety: expired', 'welcome: expired']);
  });

  test('R11: who is no effective member any more loses no results with a purge by unlinking, as was said beforehand', async () => {
    const [group, learner, course] = await Promise.all([
      muster.group('sector-a'),
      muster.learner('1'),
      muster.course('safety'),
    ]);
    const updatedAt = muster.clock.now();
    await muster.store.progress.insertOne({ _id: { learner, course }, completion: 90, activities: [], updatedAt });
    const without = (one: Group) => (one.id === group ? { ...one, courses: [] } : one);
    const preview = await previewStructure(muster.context, group, without);
    expect(preview).toEqual({ learners: 0, courses: 0, results: 0 });
    const { subscriptions } = await unlinkCourses(muster.context, {
      group,
      courses: [course],
      option: 'purge',
      by: 'ann',
    });
    expect(subscriptions).toMatchObject({ purged: 0 });
    expect(await muster.store.progress.findOne({ _id: { learner, course } })).toMatchObject({ completion: 90 });
    await linkCourses(muster.context, { group, courses: [course], by: 'ann' });
  });

  test('one that opened and closed while no worker was up does nothing when one is up again; one that opened does', async () => {
    await muster.stopWorkers();
    muster.clock.set(new Date(UNTIL + MINUTE));
    await muster.startWorkers();
    await muster.import(
      `${HEADER}1,a@x.org,Ann,A,A,sector-a,2026-04-01,2026-04-02\n1,a@x.org,Ann,A,A,sector-b,2026-04-03,2026-05-01\n`,
    );
    await muster.stopWorkers();
    muster.clock.set('2026-04-10T00:00:00Z');
    await muster.startWorkers();
    expect(await roundAt(Date.UTC(2026, 3, 10))).toEqual(['safety: active', 'sales: active', 'welcome: active']);
    expect(await roundAt(Date.UTC(2026, 4, 1))).toEqual(['safety: expired', 'sales: expired', 'welcome: expired']);
  });

  test('eight workers that sweep at once settle it once', async () => {
    await muster.import(`${HEADER}1,a@x.org,Ann,A,A,sector-a,2026-06-01,2026-07-01\n`, { approve: true });
    muster.clock.set('2026-06-01T00:00:00Z');
    await Promise.all(Array.from({ length: 8 }, () => sweep(muster.context, muster.queues)));
    expect(await roundAt(Date.UTC(2026, 5, 1, 0, 1))).toEqual(['safety: active', 'sales: expired', 'welcome: active']);
    const runs = await muster.store.runs
      .find({ kind: 'window', createdAt: { $gte: new Date('2026-06-01T00:00:00Z') } })
      .toArray();
    expect(runs).toHaveLength(1);
    const events = await muster.store.audit
      .find({ at: { $gte: new Date('2026-06-01T00:00:00Z') }, 'counts.reactivated': { $gt: 0 } })
      .toArray();
    expect(events.map(({ counts }) => counts.reactivated)).toEqual([2]);
  });
});

describe('R5, R6: the end of a window that was set late', () => {
  const late = (option: string) => `${FEED.replace('name: hr', `name: ${option}`)}leaver: { courses: ${option} }\n`;
  const rows = (count: number, until: string) =>
    Array.from({ length: count }, (_, at) => `late${at},late${at}@x.org,L,L,A,sector-a,,${at === 0 ? until : ''}\n`);
  const load = (feed: string, count: number, until = '') =>
    muster.import(`${HEADER}${rows(count, until).join('').replaceAll('late', feed)}`, { feed });

  test.each([
    ['keep', ['safety: active*', 'welcome: active*']],
    ['expire', ['safety: expired', 'welcome: expired']],
    ['purge', []],
  ])('has the leaver option %s also where its plan is approved after it', async (feed, after) => {
    muster.clock.set('2026-08-07T12:00:00Z');
    await muster.feed(late(feed));
    await load(feed, 40);
    const held = await load(feed, 10, '2026-08-08');
    expect(held.state).toBe('held');
    muster.clock.set('2026-08-10T12:00:00Z');
    await approveRun(muster.context, held.run, 'ann');
    await drainRun(muster.context, held.run);
    await roundAt(Date.UTC(2026, 7, 10, 12, 1));
    expect(await muster.subscriptions(`${feed}0`)).toEqual(after);
    expect(await muster.subscriptions(`${feed}1`)).toEqual(['safety: active', 'welcome: active']);
  });
});

test('R11: results that the end of a window has purged come back by undoing its run; what time has closed stays closed', async () => {
  muster.clock.set('2026-09-01T12:00:00Z');
  await muster.feed(`${FEED.replace('name: hr', 'name: brief')}leaver: { courses: purge }\n`);
  await muster.import(`${HEADER}b1,b1@x.org,B,B,A,sector-a,,2026-09-02\n`, { feed: 'brief' });
  const [learner, course] = [await muster.learner('b1'), await muster.course('safety')];
  await recordProgress(muster.context, { learner, course, completion: 80 });
  await roundAt(Date.UTC(2026, 8, 2));
  expect(await muster.store.progress.findOne({ _id: { learner, course } })).toBeNull();
  const purged = await muster.store.purged.findOne({ '_id.learner': learner, '_id.course': course } as never);
  const { _id } = await undoRun(muster.context, { run: purged?._id.run as never, by: 'ann' });
  await drainRun(muster.context, _id);
  expect(await muster.settled(_id)).toMatchObject({ state: 'completed' });
  expect(await muster.store.progress.findOne({ _id: { learner, course } })).toMatchObject({ completion: 80 });
  expect(await muster.subscriptions('b1')).toEqual(['safety: expired', 'welcome: expired']);
});

test('R11: deleting a group by a purge says beforehand that results of ended windows go too', async () => {
  const group = await createGroup(muster.context, { name: 'Brief', by: 'ann' });
  const course = await muster.course('sales');
  await linkCourses(muster.context, { group, courses: [course], by: 'ann' });
  muster.clock.set('2026-10-01T12:00:00Z');
  const learners = [await muster.learner('b1')];
  await addMembers(muster.context, { group, learners, by: 'ann' });
  await recordProgress(muster.context, { learner: learners[0] as never, course, completion: 30 });
  await muster.store.learners.updateOne(
    { _id: learners[0] as never, 'memberships.group': group },
    { $set: { 'memberships.$.sources.0.until': new Date('2026-10-02T00:00:00Z') } },
  );
  await muster.store.subscriptions.updateOne(
    { _id: learners[0] as never },
    { $set: { due: new Date('2026-10-02T00:00:00Z') } },
  );
  await roundAt(Date.UTC(2026, 9, 3));
  expect(await muster.subscriptions('b1')).toContain('sales: expired');
  const found = await previewStructure(muster.context, group, (one) => (one.id === group ? null : one));
  expect(found).toEqual({ learners: 0, courses: 0, results: 1 });
  const { subscriptions } = await deleteGroup(muster.context, { group, courses: 'purge', by: 'ann' });
  expect(subscriptions.purged).toBe(1);
});
