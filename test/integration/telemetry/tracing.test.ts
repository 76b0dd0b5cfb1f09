import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { RunId } from '../../../src/domain/ids.ts';
import { enqueueImport } from '../../../src/run/enqueue.ts';
import { removeMembers } from '../../../src/run/memberships.ts';
import { requestRun } from '../../../src/run/request.ts';
import { startTracing } from '../../../src/telemetry/tracing.ts';
import { COMPANY, HR, useMuster } from '../../harness.ts';
import { receiveTraces, type Span } from './receiver.ts';

vi.setConfig({ testTimeout: 120_000 });

let receiver: Awaited<ReturnType<typeof receiveTraces>>;
let stop: () => Promise<void>;
beforeAll(async () => {
  receiver = await receiveTraces();
  stop = await startTracing(`${receiver.url}/`, 'test');
});
const muster = useMuster();
afterAll(async () => {
  await stop();
  await receiver.close();
});

const NIGHT_1 = 'EmployeeID,Mail,Status,Groups\n1,a@x.org,A,sector-a\n2,b@x.org,A,sector-b\n';
const NIGHT_2 = 'EmployeeID,Mail,Status,Groups\n1,a@x.org,A,sector-b\n2,b@x.org,T,sector-b\n';

const NAMES = ['run', 'wait', 'read', 'plan', 'guard', 'apply', 'reconcile', 'batch apply', 'batch expire'].concat([
  'process import',
  'addBulk apply',
  'process apply',
  'addBulk expire',
  'process expire',
]);

/** The spans of the run's trace, once the run itself is among them. */
async function traceOf(run: RunId): Promise<Span[]> {
  await expect.poll(() => rootOf(run), { timeout: 30_000 }).toBeDefined();
  const { traceId } = rootOf(run) as Span;
  return receiver.spans().filter((span) => span.traceId === traceId);
}

function rootOf(run: RunId): Span | undefined {
  return receiver.spans().find(({ name, of }) => name === 'run' && of['muster.run'] === run);
}

async function importByJob(text: string): Promise<RunId> {
  const path = muster.file(text);
  const source = { name: 'hr.csv', path, bytes: text.length };
  const order = { feed: 'hr', mode: 'full' as const, preview: false, approve: true, by: 'test', source };
  const run = await requestRun(muster.context, order);
  await enqueueImport(muster.queues, run);
  await muster.settled(run._id);
  return run._id;
}

test('a run is one trace, from reading its file to the last settlement, through the queues', async () => {
  await muster.structure(COMPANY);
  await muster.feed(HR);
  await importByJob(NIGHT_1);
  const run = await importByJob(NIGHT_2);
  // The spans of jobs end after the run's: they come with the next delivery.
  const names = async () => [...new Set((await traceOf(run)).map(({ name }) => name))];
  await expect.poll(names, { timeout: 30_000 }).toEqual(expect.arrayContaining(NAMES));
  const spans = await traceOf(run);
  const ids = new Set(spans.map(({ spanId }) => spanId));
  const roots = spans.filter(({ parentSpanId }) => !ids.has(parentSpanId ?? ''));
  expect(roots.map(({ name }) => name)).toEqual(['run']);
  expect(roots[0]?.of).toMatchObject({ 'muster.feed': 'hr', 'muster.state': 'completed', 'muster.kind': 'feed' });
});

test('R24: jobs that the relay makes again from the database belong to the trace of their run', async () => {
  await muster.stopWorkers();
  const { _id } = await muster.read(NIGHT_1, { approve: true });
  await muster.emptyRedis();
  await muster.startWorkers();
  await muster.settled(_id);
  const names = async () => (await traceOf(_id)).map(({ name }) => name);
  await expect.poll(names, { timeout: 30_000 }).toEqual(expect.arrayContaining(['process apply', 'batch apply']));
});

test('a run that is superseded while it is held has its span, and so has a change by hand in one transaction', async () => {
  await importByJob(NIGHT_1);
  const held = await muster.import('EmployeeID,Mail,Status,Groups\n,x@x.org,A,sector-a\n2,b@x.org,T,sector-b\n');
  expect(held.state).toBe('held');
  await importByJob(NIGHT_1);
  expect((await traceOf(held.run)).map(({ name }) => name)).toEqual(expect.arrayContaining(['read', 'held', 'run']));
  expect(rootOf(held.run)?.of).toMatchObject({ 'muster.state': 'superseded' });
  const { run } = await removeMembers(muster.context, {
    group: await muster.group('sector-a'),
    learners: [await muster.learner('1')],
    courses: 'keep',
    by: 'test',
  });
  await traceOf(run);
  expect(rootOf(run)?.of).toMatchObject({ 'muster.state': 'completed', 'muster.kind': 'manual' });
});

test('looking for work is no trace', () => {
  expect(receiver.spans().filter(({ name }) => /getNextJob|moveToActive|Stalled|extendLock/i.test(name))).toEqual([]);
});
