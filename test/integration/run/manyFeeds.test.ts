import { beforeAll, expect, test } from 'vitest';
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
