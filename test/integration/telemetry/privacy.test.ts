import { once } from 'node:events';
import { Redis } from 'ioredis';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest';
import { z } from 'zod';
import type { RunId } from '../../../src/domain/ids.ts';
import { deliverNotifications } from '../../../src/notify/deliver.ts';
import { defineJob } from '../../../src/queue/job.ts';
import { Queues } from '../../../src/queue/queues.ts';
import { connectRedis } from '../../../src/queue/redis.ts';
import { startWorkers } from '../../../src/queue/workers.ts';
import { addLearner } from '../../../src/run/memberships.ts';
import { reportOf } from '../../../src/run/report.ts';
import { tellRuns } from '../../../src/run/tell.ts';
import { startTracing } from '../../../src/telemetry/tracing.ts';
import { COMPANY, HR } from '../../harness.ts';
import { answered, multipart, useApi } from '../http/asking.ts';
import { MailServer, Receiver } from '../notify/listeners.ts';
import { receiveTraces } from './receiver.ts';

vi.setConfig({ testTimeout: 120_000 });

/** Names, addresses and External IDs of these people all hold this, in some case. */
const PLANTED = /planted/i;
const HEADER = 'EmployeeID,Mail,FirstName,LastName,Status,Groups\n';
const row = (at: number | string, group = 'sector-a') =>
  `XPLANTED${at},planted${at}@private.example,Plantedfirst,Plantedlast,A,${group}\n`;
const people = (count: number, group?: string) => Array.from({ length: count }, (_, at) => row(at, group)).join('');

const lines: string[] = [];
/** Every command that reaches Redis of this Muster's keys: job data, results and errors, also of what is there no more. */
const commands: string[] = [];
let traces: Awaited<ReturnType<typeof receiveTraces>>;
let stopTracing: () => Promise<void>;
beforeAll(async () => {
  traces = await receiveTraces();
  stopTracing = await startTracing(traces.url, 'test');
});
const api = useApi(pino({ level: 'trace' }, { write: (line) => lines.push(line) }));
const receiver = new Receiver();
const mailServer = new MailServer();
let monitor: Redis;
let key = '';
let hook = '';

beforeAll(async () => {
  const { muster } = api;
  monitor = await new Redis(inject('redisUrl')).monitor();
  monitor.on('monitor', (_: string, args: string[]) => {
    if (args.some((arg) => arg.includes(muster.queues.prefix))) commands.push(args.join(' '));
  });
  key = await api.key('administrator');
  hook = await receiver.listen();
  await muster.structure(COMPANY);
  await muster.feed(`${HR}notify: { webhook: "${hook}", email: ops@example.org, on: [held, failed, rejected-rows] }\n`);
});
afterAll(async () => {
  monitor.disconnect();
  receiver.close();
  await mailServer.close();
  await stopTracing();
  await traces.close();
});

async function upload(text: string, fields: Record<string, string> = {}): Promise<string> {
  const { payload, headers } = multipart(HEADER + text, fields);
  const { run } = answered(202, await api.ask(key, 'POST', 'feeds/hr/runs', payload, headers)).json<{ run: RunId }>();
  return (await api.muster.settled(run)).state;
}

/** A night in which somebody takes the address of a new person between plan and application. */
async function setOneAside(): Promise<RunId> {
  const { muster } = api;
  await muster.stopWorkers();
  const run = await muster.read(HEADER + people(31));
  await addLearner(muster.context, {
    identity: { email: 'PLANTED30@private.example', status: 'active', attributes: {} },
    by: 'test',
  });
  await muster.startWorkers();
  await muster.settled(run._id);
  return run._id;
}

test('names, addresses and External IDs of people are in no log line, job, key of Redis, metric, span or message', async () => {
  const { muster } = api;
  const ask = (method: string, path: string, body?: object) => api.ask(key, method, path, body);

  // Good rows and rejected ones, a file that begins with a person, a held plan, and one that is rejected.
  expect(await upload(people(30))).toBe('completed');
  expect(await upload(`${people(30)}${row(77, 'nowhere')}${row(0)},,\n`, { approve: 'true' })).toBe('completed');
  const { payload, headers } = multipart(people(3));
  const failed = answered(202, await api.ask(key, 'POST', 'feeds/hr/runs', payload, headers)).json<{ run: RunId }>();
  expect((await muster.settled(failed.run)).state).toBe('failed');
  expect(await upload(people(4))).toBe('held');
  const held = (await muster.store.runs.findOne({ state: 'held' }))?._id;
  answered(200, await ask('GET', `runs/${held}/changes`));
  answered(200, await ask('POST', `runs/${held}/reject`, { reason: 'half a file' }));

  // What cannot be applied, and a database that refuses a document and says which.
  const run = await setOneAside();
  expect((await reportOf(muster.store, await muster.settled(run))).setAside).toBe(1);
  const collMod = (validator: object) => muster.store.connection.db?.command({ collMod: 'learners', validator });
  await collMod({ firstName: { $ne: 'Plantedrefused' } });
  const refused = HEADER + people(31).replace('Plantedfirst', 'Plantedrefused');
  expect((await muster.import(refused, { approve: true })).setAside).toBeGreaterThan(0);
  await collMod({});
  const { items } = answered(200, await ask('GET', 'queue')).json<{ items: { id: string }[] }>();
  expect(items.length).toBeGreaterThan(0);
  await ask('POST', 'queue/retry', { ids: [items[0]?.id] });
  await ask('POST', 'queue/discard', { ids: items.map(({ id }) => id), reason: 'XPLANTED30 left' });

  // By hand.
  answered(200, await ask('POST', 'groups/lone/add', { learners: ['XPLANTED1', 'planted2@private.example'] }));
  answered(200, await ask('POST', 'groups/lone/remove', { learners: ['XPLANTED1'], removal: 'purge' }));
  answered(200, await ask('PATCH', 'learners/XPLANTED3', { lastName: 'Plantedrenamed' }));
  answered(200, await ask('POST', 'learners/XPLANTED4/move', { from: 'sector-a', to: 'sector-b' }));
  answered(201, await ask('POST', 'learners', { externalId: 'XPLANTED99', email: 'planted99@private.example' }));

  // Errors of the API, one of them not foreseen.
  answered(404, await ask('GET', 'learners/XPLANTEDabsent'));
  answered(400, await ask('PATCH', 'learners/XPLANTED3', { lastName: { $ne: 'planted' }, planted: 1 }));
  answered(404, await ask('GET', '/planted/planted@private.example'));
  await ask('GET', `learners/${'planted'.repeat(400)}`);
  const learner = await muster.learner('XPLANTED5');
  const { memberships = [] } = (await muster.store.learners.findOne({ _id: learner })) ?? {};
  await muster.store.learners.updateOne({ _id: learner }, { $set: { memberships: 'planted' as never } });
  answered(500, await ask('GET', 'learners/XPLANTED5'));
  await muster.store.learners.updateOne({ _id: learner }, { $set: { memberships } });

  await tellRuns(muster.context);
  const telling = {
    url: 'https://muster.example.org',
    secret: 'a secret of forty characters, at the least',
    smtpUrl: await mailServer.listen(),
    mailFrom: 'Muster <muster@example.org>',
    allowPrivate: true,
  };
  await deliverNotifications(muster.context, telling);

  const { body: metrics } = answered(200, await ask('GET', '/metrics'));
  const { redis, prefix } = muster.queues;
  const keys = await redis.keys(`${prefix}*`);
  const values = await Promise.all(keys.map(async (name) => (await redis.dumpBuffer(name))?.toString('latin1') ?? ''));
  await expect
    .poll(() => traces.spans().filter(({ name }) => name === 'run').length, { timeout: 30_000 })
    .toBeGreaterThan(4);
  const everywhere = {
    lines,
    commands,
    keys,
    values,
    metrics: metrics.split('\n'),
    spans: traces.bodies,
    hooks: receiver.received.map((one) => one.body),
    mails: mailServer.mails.map(({ text }) => text),
  };
  for (const [place, found] of Object.entries(everywhere)) {
    expect(found.length, place).toBeGreaterThan(0);
    expect(
      found.filter((text) => PLANTED.test(text)),
      place,
    ).toEqual([]);
  }
});

test('the message of an error that nobody foresaw is not in Redis, in the log or in a span', async () => {
  const prefix = `${api.muster.queues.prefix}-failing`;
  const seen: string[] = [];
  const log = pino({ level: 'trace' }, { write: (line) => seen.push(line) });
  const job = defineJob({
    name: 'import',
    payload: z.object({ run: z.string() }),
    retry: { attempts: 3, delay: 60_000 },
    handle: () => Promise.reject(Object.assign(new TypeError('planted@private.example'), { code: 'E_PLAIN' })),
  });
  const connections = (['producer', 'worker'] as const).map((use) =>
    connectRedis(inject('redisUrl'), use, () => undefined),
  );
  const [producer, consumer] = connections as [Redis, Redis];
  const queues = new Queues(producer, prefix, [job]);
  const workers = await startWorkers({ queues, redis: consumer, jobs: [job], context: {}, concurrency: 1, log });
  await queues.addImport('r1');
  await expect.poll(() => queues.stateOf('import-r1', 'import'), { timeout: 30_000 }).toBe('delayed');
  const kept = await producer.hgetall(`${prefix}:import:import-r1`);
  expect(kept.failedReason).toBe('TypeError E_PLAIN');
  expect(kept.stacktrace).toContain('at Object.handle');
  await expect.poll(() => seen.join('')).toContain('job failed');
  expect([JSON.stringify(kept), ...seen, ...traces.bodies].filter((text) => PLANTED.test(text))).toEqual([]);
  await workers.stop(1_000);
  await queues.queue('import').obliterate({ force: true });
  await queues.close();
  for (const connection of connections) {
    connection.disconnect();
    if (connection.status !== 'end') await once(connection, 'end');
  }
});
