import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { RunId } from '../../../src/domain/ids.ts';
import { scheduleDueRuns } from '../../../src/schedule/dueRuns.ts';
import { startScheduler } from '../../../src/schedule/ticker.ts';
import type { FeedDoc } from '../../../src/store/models.ts';
import { figure } from '../../faults/harness/figures.ts';
import { COMPANY, HR, useMuster } from '../../harness.ts';

const muster = useMuster();
const HEADER = 'EmployeeID,Mail,FirstName,LastName,Status,Groups\n';
const HOUR = 3_600_000;

/** The feed `hr` with a source of its own and this schedule. */
async function scheduled(cron: string, timeZone = 'Europe/Amsterdam', more = ''): Promise<void> {
  await muster.feed(`${HR}source: { file: hr.csv }\nschedule: { cron: "${cron}", timeZone: ${timeZone}${more} }\n`);
  // It was saved by the time of the database, which is not that of this test.
  await muster.store.feeds.updateMany({}, { $unset: { scheduled: '' } });
}

const look = (at: Date | string) => {
  muster.clock.set(at);
  return scheduleDueRuns(muster.context, muster.queues, muster.clock.now());
};

/** Due times that have a run, in order. */
async function dues(): Promise<string[]> {
  const runs = await muster.store.runs
    .find({ due: { $exists: true } })
    .sort({ due: 1 })
    .toArray();
  return runs.map(({ due }) => due?.toISOString().slice(0, 16) ?? '');
}

async function ended(ids: readonly RunId[]): Promise<string[]> {
  const runs = [];
  for (const id of ids) runs.push((await muster.settled(id)).state);
  return runs;
}

beforeAll(async () => {
  await muster.structure(COMPANY);
  writeFileSync(join(muster.directory, 'hr.csv'), `${HEADER}1,a@x.org,Ann,A,A,sector-a\n`);
});

beforeEach(async () => {
  for (const { _id } of await muster.store.runs.find({}).toArray()) await muster.settled(_id);
  await muster.store.runs.deleteMany({ due: { $exists: true } });
  await muster.store.feeds.updateMany({}, { $unset: { scheduled: '', quarantined: '', troubles: '' } });
});

describe('R26: one scheduled time of a feed gives one run', () => {
  test('the run is made by the schedule, and imports the file of its feed', async () => {
    await scheduled('0 2 * * *');
    expect(await look('2026-01-20T00:00:00Z')).toEqual([]);
    expect(await look('2026-01-20T00:59:59Z')).toEqual([]);
    const made = await look('2026-01-20T01:00:00Z');
    expect(await ended(made)).toEqual(['completed']);
    const run = await muster.store.runs.findOne({ _id: made[0] as RunId });
    expect(run).toMatchObject({ by: 'schedule', feed: 'hr', due: new Date('2026-01-20T01:00:00Z') });
    expect(await muster.memberships('1')).toEqual(['sector-a: hr']);
    expect(await look('2026-01-20T01:00:10Z')).toEqual([]);
  });

  test('fault 32: eight schedulers that look at the same time make one run', async () => {
    await scheduled('0 2 * * *');
    muster.clock.set('2026-01-20T00:59:00Z');
    const eight = () =>
      Promise.all(Array.from({ length: 8 }, () => scheduleDueRuns(muster.context, muster.queues, muster.clock.now())));
    expect((await eight()).flat()).toEqual([]);
    muster.clock.set('2026-01-20T01:00:00Z');
    expect((await eight()).flat()).toHaveLength(1);
    expect((await eight()).flat()).toHaveLength(0);
    expect(await dues()).toEqual(['2026-01-20T01:00']);
    figure('32', 'schedulers', '8 schedulers, looking 3 times: 1 run of the one due time');
  });

  test('a scheduler that dies between run and note does not make the run again', async () => {
    await scheduled('0 2 * * *');
    await look('2026-01-20T00:59:00Z');
    await look('2026-01-20T01:00:00Z');
    await muster.store.feeds.updateOne({ _id: 'hr' }, { $unset: { 'scheduled.handled': '' } });
    expect(await look('2026-01-20T01:00:01Z')).toEqual([]);
    expect(await dues()).toEqual(['2026-01-20T01:00']);
  });

  test.each([
    [
      'spring night, 02:30 is skipped',
      '2026-03-28T12:00:00Z',
      '2026-03-30T12:00:00Z',
      ['2026-03-29T01:30', '2026-03-30T00:30'],
    ],
    [
      'autumn night, 02:30 comes twice',
      '2026-10-24T12:00:00Z',
      '2026-10-26T12:00:00Z',
      ['2026-10-25T00:30', '2026-10-26T01:30'],
    ],
  ])('fault 34: %s', async (night, from, until, expected) => {
    await scheduled('30 2 * * *');
    for (let at = new Date(from); at <= new Date(until); at = new Date(at.getTime() + 10 * 60_000)) await look(at);
    expect(await dues()).toEqual(expected);
    figure('34', night.split(',')[0] as string, `${night}: ${expected.length} nights, ${expected.length} runs`);
  });

  test('fault 34: a zone 14 hours away', async () => {
    await scheduled('0 2 * * *', 'Pacific/Kiritimati');
    for (let hour = 0; hour < 48; hour += 1) await look(new Date(Date.UTC(2026, 0, 20, hour)));
    expect(await dues()).toEqual(['2026-01-20T12:00', '2026-01-21T12:00']);
    figure('34', 'zone', '14 hours away: 2 days, 2 runs; 0 bad');
  });
});

describe('R26: a time that was missed is caught up once', () => {
  test('of five nights asleep the last is run, and the next as usual', async () => {
    await scheduled('0 2 * * *');
    await look('2026-01-20T12:00:00Z');
    expect(await look('2026-01-25T09:00:00Z')).toHaveLength(1);
    expect(await look('2026-01-25T09:00:10Z')).toEqual([]);
    expect(await look('2026-01-26T01:00:00Z')).toHaveLength(1);
    expect(await dues()).toEqual(['2026-01-25T01:00', '2026-01-26T01:00']);
  });

  test('but not after more than schedule.catchUpHours', async () => {
    await scheduled('0 2 * * *', 'Europe/Amsterdam', ', catchUpHours: 3');
    await look('2026-01-20T12:00:00Z');
    expect(await look('2026-01-21T04:00:01Z')).toEqual([]);
    expect(await look('2026-01-22T03:59:59Z')).toHaveLength(1);
  });

  test('catchUpHours: 0 runs what has just become due, and nothing that was missed', async () => {
    await scheduled('0 2 * * *', 'Europe/Amsterdam', ', catchUpHours: 0');
    await look('2026-01-20T12:00:00Z');
    expect(await look('2026-01-21T01:00:30Z')).toHaveLength(1);
    expect(await look('2026-01-22T01:05:00Z')).toEqual([]);
  });

  test('a new or changed schedule has missed nothing yet', async () => {
    await scheduled('0 2 * * *');
    expect(await look('2026-01-20T03:00:00Z')).toEqual([]);
    await scheduled('0 3 * * *');
    expect(await look('2026-01-20T03:01:00Z')).toEqual([]);
    expect(await look('2026-01-20T03:02:00Z')).toEqual([]);
    expect(await look('2026-01-21T02:00:00Z')).toHaveLength(1);
    expect(await dues()).toEqual(['2026-01-21T02:00']);
  });
});

test('a schedule counts from when it was saved: its first time is caught up where no scheduler was up yet', async () => {
  await muster.feed(`${HR}source: { file: hr.csv }\nschedule: { cron: "* * * * *" }\n`);
  const { scheduled } = (await muster.store.feeds.findOne({ _id: 'hr' })) as FeedDoc;
  const saved = scheduled?.since as Date;
  await muster.feed(`${HR}source: { file: hr.csv }\nschedule: { cron: "* * * * *" }\nmode: full\n`);
  expect((await muster.store.feeds.findOne({ _id: 'hr' }))?.scheduled).toEqual(scheduled);
  expect(await look(new Date(saved.getTime() + 10 * 60_000))).toHaveLength(1);
});

describe('fault 33: the clock jumps', () => {
  const nights = (...days: number[]) => days.map((day) => `2026-01-${day}T01:00`);
  let right = 0;
  afterAll(() =>
    figure('33', 'jumps', `${right} jumps, from an hour back to two days ahead: 0 bad, each night has its one run`),
  );

  test.each([
    ['an hour back after the run', '2026-01-22T01:05:00Z', -HOUR, nights(21, 22)],
    ['an hour forward before it', '2026-01-22T00:30:00Z', HOUR, nights(21, 22)],
    ['an hour forward and over it', '2026-01-22T00:05:00Z', HOUR, nights(21, 22)],
    ['two days back', '2026-01-22T12:00:00Z', -48 * HOUR, nights(21, 22)],
  ])('%s: every night has its one run', async (_, when, jump, expected) => {
    await scheduled('0 2 * * *');
    await look('2026-01-20T12:00:00Z');
    await look('2026-01-21T01:00:00Z');
    if (new Date(when) > new Date('2026-01-22T01:00:00Z')) await look('2026-01-22T01:00:00Z');
    const start = new Date(when).getTime() + jump;
    for (let at = start; at <= Date.UTC(2026, 0, 22, 12); at += 20 * 60_000) await look(new Date(at));
    expect(await dues()).toEqual(expected);
    right += 1;
  });

  test('two days ahead for a while, then right again: no night is left out or run twice', async () => {
    await scheduled('0 2 * * *');
    await look('2026-01-20T12:00:00Z');
    await look('2026-01-22T12:00:00Z');
    for (let at = Date.UTC(2026, 0, 20, 13); at <= Date.UTC(2026, 0, 23, 12); at += 20 * 60_000)
      await look(new Date(at));
    expect(await dues()).toEqual(nights(21, 22, 23));
    right += 1;
  });
});

test('a source that is not there is a failed run, and the schedule goes on', async () => {
  await scheduled('0 2 * * *');
  await look('2026-01-20T12:00:00Z');
  rmSync(join(muster.directory, 'hr.csv'));
  expect(await ended(await look('2026-01-21T01:00:00Z'))).toEqual(['failed']);
  writeFileSync(join(muster.directory, 'hr.csv'), `${HEADER}1,a@x.org,Ann,A,A,sector-a\n`);
  expect(await ended(await look('2026-01-22T01:00:00Z'))).toEqual(['completed']);
});

test('the ticker looks at once when it starts, and is quiet when it was stopped', async () => {
  await scheduled('0 2 * * *');
  await look('2026-01-20T12:00:00Z');
  muster.clock.set('2026-01-21T03:00:00Z');
  const scheduler = startScheduler(muster.context, muster.queues);
  await scheduler.stop();
  expect(await dues()).toEqual(['2026-01-21T01:00']);
});
