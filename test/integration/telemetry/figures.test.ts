import { beforeAll, expect, test } from 'vitest';
import type { HttpContext } from '../../../src/http/context.ts';
import { figuresOf } from '../../../src/http/figures.ts';
import { approveRun } from '../../../src/run/approval.ts';
import { drainRun } from '../../../src/run/manual.ts';
import { COMPANY, HR, useMuster } from '../../harness.ts';

const muster = useMuster();
const HOUR = 3_600_000;
const people = (count: number) =>
  `EmployeeID,Groups\n${Array.from({ length: count }, (_, at) => `${at},sector-a\n`).join('')}`;

async function oldestRunSeconds(): Promise<number> {
  const { queues, store, clock } = muster;
  return (await figuresOf({ queues, store, clock } as unknown as HttpContext)()).oldestRunSeconds;
}

beforeAll(async () => {
  await muster.structure(COMPANY);
  await muster.feed(HR.replace('status: { column: Status, active: [A], left: [T] }', ''));
  await muster.import(people(30), { approve: true });
  await muster.stopWorkers();
});

test('the oldest run at work is as old as its work: a plan that was held for days is new when it is approved', async () => {
  const { run } = await muster.import(people(5));
  muster.clock.forward(72 * HOUR);
  expect(await oldestRunSeconds()).toBe(0);
  await approveRun(muster.context, run, 'ann');
  expect(await oldestRunSeconds()).toBe(0);
  muster.clock.forward(HOUR);
  expect(await oldestRunSeconds()).toBe(3_600);
  await drainRun(muster.context, run);
  expect(await oldestRunSeconds()).toBe(0);
});

test('of several runs at work the one that has been longest counts, since it began to read where it still does', async () => {
  const [last] = await muster.store.runs.find({ state: 'completed', feed: 'hr' }).sort({ createdAt: -1 }).toArray();
  if (!last) throw new Error('no run');
  const now = muster.clock.now().getTime();
  const runOf = (seconds: readonly number[]) => ({
    ...last,
    _id: `x${seconds.join('-')}` as never,
    feed: `x${seconds.length}`,
    state: 'reading' as const,
    createdAt: new Date(now - 90 * 86_400_000),
    history: seconds.map((ago) => ({ state: 'reading' as const, at: new Date(now - ago * 1_000), by: 'test' })),
  });
  await muster.store.runs.insertMany([runOf([20]), runOf([7_200, 50])]);
  expect(await oldestRunSeconds()).toBe(50);
});
