import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { jobs } from '../../../jobs/all.ts';
import type { RunId } from '../../../src/domain/ids.ts';
import { buildServer } from '../../../src/http/server.ts';
import { Queues } from '../../../src/queue/queues.ts';
import { connectRedis } from '../../../src/queue/redis.ts';
import { StallingProxy } from '../../faults/harness/proxy.ts';
import { COMPANY, HR } from '../../harness.ts';
import { answered, multipart, useApi } from './asking.ts';

/** The API on a Redis that takes no bytes, its connection open; workers have another way to it. */
const api = useApi();
let proxy: StallingProxy;
let queues: Queues;
let stalled: FastifyInstance;
let key = '';

const HEADER = 'EmployeeID,Mail,FirstName,LastName,Status,Groups';
const rows = (count: number) =>
  `${HEADER}\n${Array.from({ length: count }, (_, at) => `${at},p${at}@example.org,A,B,A,sector-a\n`).join('')}`;

beforeAll(async () => {
  const url = new URL(inject('redisUrl'));
  proxy = await StallingProxy.open(Number(url.port));
  url.port = String(proxy.port);
  const redis = connectRedis(url.href, 'producer', () => undefined);
  queues = new Queues(redis, api.muster.queues.prefix, jobs);
  await redis.ping();
  stalled = await buildServer({ ...api.context, queues });
  await api.muster.structure(COMPANY);
  await api.muster.feed(HR);
  await api.muster.import(rows(20), { approve: true });
  key = await api.key('operator');
  proxy.stall();
});
afterAll(async () => {
  queues.redis.disconnect();
  await stalled.close();
  await proxy.close();
});

/** An answer within the patience of a person. */
async function ask(method: 'GET' | 'POST', path: string, sent: ReturnType<typeof multipart> | object = {}) {
  const then = performance.now();
  const headers = { authorization: `Bearer ${key}`, ...('headers' in sent && sent.headers) };
  const answer = await stalled.inject({ method, url: `/api/v1/${path}`, ...sent, headers });
  expect(performance.now() - then).toBeLessThan(10_000);
  return answer;
}

test('fault 9: a file is taken, a held plan approved and a run undone while Redis takes no bytes; workers find them', async () => {
  /** Later, when the relay looks at what its writer has not enqueued. */
  const later = (id: RunId) => {
    api.muster.clock.forward(60_000);
    return api.muster.settled(id);
  };
  const upload = answered(202, await ask('POST', 'feeds/hr/runs', multipart(rows(5))));
  const { run } = upload.json<{ run: RunId }>();
  expect(await api.muster.settled(run)).toMatchObject({ state: 'held' });
  answered(202, await ask('POST', `runs/${run}/approve`));
  expect(await later(run)).toMatchObject({ state: 'completed' });
  const { run: undone } = answered(202, await ask('POST', `runs/${run}/undo`)).json<{ run: RunId }>();
  expect((await later(undone)).state).toMatch(/completed|held/);
});

test('fault 9: what waits is listed while Redis takes no bytes', async () => {
  await api.muster.stopWorkers();
  const run = (await api.muster.store.runs.findOne({ kind: 'feed' }))?._id as RunId;
  const _id = { run, batch: 9_000_001 };
  await api.muster.store.outbox.insertOne({ _id, job: 'apply', tries: 0, at: new Date(8.64e15) });
  const { items } = answered(200, await ask('GET', 'queue')).json<{ items: object[] }>();
  expect(items).toMatchObject([{ id: `${run}-9000001`, state: 'waiting', bullmq: null }]);
  await api.muster.store.outbox.deleteOne({ _id });
});
