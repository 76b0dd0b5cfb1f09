import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { releaseFeed } from '../../../src/run/releaseFeed.ts';
import { tellRuns } from '../../../src/run/tell.ts';
import { viewFeed } from '../../../src/run/views/feedView.ts';
import { scheduleDueRuns } from '../../../src/schedule/dueRuns.ts';
import type { FeedDoc } from '../../../src/store/models.ts';
import { COMPANY, HR, useMuster } from '../../harness.ts';

const muster = useMuster();
const GOOD = 'EmployeeID,Mail,FirstName,LastName,Status,Groups\n1,a@x.org,Ann,A,A,sector-a\n';

const feed = async () => (await muster.store.feeds.findOne({ _id: 'hr' })) as FeedDoc;

/** The next night, at 02:00: states of the runs that the schedule made. */
async function night(): Promise<string[]> {
  muster.clock.forward(86_400_000);
  const made = await scheduleDueRuns(muster.context, muster.queues, muster.clock.now());
  const states = [];
  for (const id of made) states.push((await muster.settled(id)).state);
  await tellRuns(muster.context);
  return states;
}

const source = (text: string | null) => {
  const path = join(muster.directory, 'hr.csv');
  if (text === null) rmSync(path);
  else writeFileSync(path, text);
};

beforeAll(async () => {
  await muster.structure(COMPANY);
  await muster.feed(`${HR}source: { file: hr.csv }
schedule: { cron: "0 2 * * *" }
notify: { webhook: "https://example.org", on: [quarantine, recovered] }
`);
  source(GOOD);
  await night();
});

describe('a feed that fails or is held three times running', () => {
  test('runs no more by itself, says so, and is shown so', async () => {
    expect(await night()).toEqual(['completed']);
    source('no header that fits\n');
    expect(await night()).toEqual(['failed']);
    source(null);
    expect(await night()).toEqual(['failed']);
    expect((await viewFeed(muster.context, await feed())).quarantined).toBeNull();
    expect(await night()).toEqual(['failed']);
    const { quarantined, nextDue, lastDue, lastRun } = await viewFeed(muster.context, await feed());
    expect(quarantined).toEqual({ at: muster.clock.now(), run: lastRun?.run });
    expect(lastDue).toEqual({ at: muster.clock.now(), run: lastRun?.run, state: 'failed' });
    expect(nextDue).toBeNull();
    source(GOOD);
    expect(await night()).toEqual([]);
    expect(await night()).toEqual([]);
    const told = await muster.store.notifications.find({}).toArray();
    expect(told.map(({ event }) => event)).toEqual(['quarantine']);
  });

  test('is still imported by hand, which does not let it out', async () => {
    expect(await muster.import(GOOD)).toMatchObject({ state: 'completed' });
    await tellRuns(muster.context);
    expect(await night()).toEqual([]);
    const told = await muster.store.notifications.find({}).sort({ createdAt: 1 }).toArray();
    expect(told.map(({ event }) => event)).toEqual(['quarantine', 'recovered']);
  });

  test('goes on from its next due time when a person has released it', async () => {
    await releaseFeed(muster.context, await feed(), 'test');
    expect(await feed()).toMatchObject({ released: { by: 'test', at: muster.clock.now() } });
    expect(await scheduleDueRuns(muster.context, muster.queues, muster.clock.now())).toEqual([]);
    const next = new Date(muster.clock.now().getTime() + 86_400_000);
    expect((await viewFeed(muster.context, await feed())).nextDue).toEqual(next);
    expect(await night()).toEqual(['completed']);
    await expect(releaseFeed(muster.context, await feed(), 'test')).rejects.toThrow('is not in quarantine');
  });

  test('held runs count as failed ones do', async () => {
    const many = Array.from({ length: 40 }, (_, at) => `${at + 1},p${at}@x.org,P,P,A,sector-a\n`).join('');
    await muster.import(GOOD + many.slice(many.indexOf('\n') + 1), { approve: true });
    expect([await night(), await night(), await night(), await night()]).toEqual([['held'], ['held'], ['held'], []]);
  });
});
