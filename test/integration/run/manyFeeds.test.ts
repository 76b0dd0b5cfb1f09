import { beforeAll, expect, test } from 'vitest';
import type { RowTable } from '../../../src/feed/rows/table.ts';
import { countAgain } from '../../../src/run/execute.ts';
import { loadTable } from '../../../src/run/loadTable.ts';
import { drainRun } from '../../../src/run/manual.ts';
import type { Outcome } from '../../../src/run/outcome.ts';
import { readFeedDoc } from '../../../src/store/feeds.ts';
import type { Applied } from '../../../src/store/models.ts';
import { COMPANY, HR, useMuster } from '../../harness.ts';

const muster = useMuster();

/** Forty learners of one feed, of whom the first `without` are in no group. */
function sheet(feed: string, without = 0): string {
  const rows = Array.from({ length: 40 }, (_, at) => `${feed}-${at},,First,Last,A,${at < without ? '' : 'sector-a'}`);
  return `${['EmployeeID,Mail,FirstName,LastName,Status,Groups', ...rows].join('\n')}\n`;
}

beforeAll(async () => {
  await muster.structure(COMPANY);
  for (const feed of ['north', 'south']) {
    await muster.feed(HR.replace('name: hr', `name: ${feed}`));
    await muster.import(sheet(feed), { feed });
  }
});

test('losses that each feed is allowed are held when those of all feeds add up', async () => {
  expect(await muster.import(sheet('north', 9), { feed: 'north' })).toMatchObject({ state: 'completed' });
  const second = await muster.import(sheet('south', 9), { feed: 'south' });
  expect(second.state).toBe('held');
  expect(second.guard.breaches).toEqual([{ limit: 'allFeeds24hPercent', value: 22.5, max: 8, group: null }]);
  muster.clock.forward(25 * 3_600_000);
  expect(await muster.import(sheet('south', 9), { feed: 'south' })).toMatchObject({ state: 'completed' });
});

test('a plan is counted again before it is applied, with what other feeds have begun to take meanwhile', async () => {
  muster.clock.forward(8 * 24 * 3_600_000);
  const planned = await muster.read(sheet('south', 18), { feed: 'south', preview: true });
  const outcome = planned.outcome as Outcome;
  expect(outcome).toMatchObject({ lost: 9, guard: { held: false } });
  expect(await countAgain(muster.context, planned, outcome)).toBe(outcome);
  expect(await muster.import(sheet('north', 18), { feed: 'north' })).toMatchObject({ state: 'completed' });
  expect(await countAgain(muster.context, planned, outcome)).toMatchObject({
    guard: { held: true, breaches: [{ limit: 'allFeeds24hPercent', max: 8 }] },
  });
});

test('R20 R23: learners whom two feeds make at once are told apart in both tables: who leaves one of them later is found', async () => {
  const rows = (without: number[] = []) =>
    sheet('both')
      .split('\n')
      .filter((row) => !without.some((n) => row.startsWith(`both-${n},`)))
      .join('\n');
  await muster.stopWorkers();
  const planned = [];
  for (const feed of ['east', 'west']) {
    await muster.feed(HR.replace('name: hr', `name: ${feed}`));
    planned.push(await muster.read(rows(), { feed }));
  }
  for (const { _id } of planned) {
    await drainRun(muster.context, _id);
    expect(await muster.settled(_id)).toMatchObject({ state: 'completed' });
  }
  const west = await readFeedDoc(muster.store, 'west');
  const table = (await loadTable(muster.store, west?.applied as Applied)) as RowTable;
  const real = await Promise.all(Array.from({ length: 40 }, (_, at) => muster.learner(`both-${at}`)));
  expect(Array.from({ length: table.rows }, (_, row) => table.learner(row))).toEqual(real);
  await muster.startWorkers();
  const without = [3, 6, 9];
  expect(await muster.import(rows(without), { feed: 'west', approve: true })).toMatchObject({
    memberships: { removed: 3 },
  });
  for (const n of without) expect(await muster.memberships(`both-${n}`)).toEqual(['sector-a: east']);
});
