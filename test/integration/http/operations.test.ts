import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { jobs } from '../../../jobs/all.ts';
import type { RunId } from '../../../src/domain/ids.ts';
import { figuresOf } from '../../../src/http/figures.ts';
import { type Listening, serveMetrics } from '../../../src/http/operations.ts';
import { ReadinessCheck, STUCK_AFTER } from '../../../src/http/readiness.ts';
import { Queues } from '../../../src/queue/queues.ts';
import { connectRedis } from '../../../src/queue/redis.ts';
import { blankRun } from '../../../src/run/manual.ts';
import { openStore } from '../../../src/store/store.ts';
import { COMPANY, HR } from '../../harness.ts';
import { answered, useApi } from './asking.ts';

const api = useApi();
let listening: Listening;

beforeAll(async () => {
  const { muster } = api;
  await muster.structure(COMPANY);
  await muster.feed(HR);
  await muster.import(
    'EmployeeID,Mail,FirstName,LastName,Status,Groups\n1,secret@example.org,Wilhelmina,Oranje,A,sector-a\n2,,,,A,nowhere\n',
    { approve: true },
  );
  listening = await serveMetrics(api.context, { host: '127.0.0.1', port: 0 });
});
afterAll(() => listening.close());

/** Lines of one metric. */
async function metric(name: string): Promise<string[]> {
  const text = await (await fetch(`${listening.url}/metrics`)).text();
  return text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
}

describe('metrics', () => {
  test('count rows, changes and runs from what is stored, in every process the same', async () => {
    expect(await metric('muster_rows_total')).toEqual(
      expect.arrayContaining([
        'muster_rows_total{feed="hr",outcome="read"} 2',
        'muster_rows_total{feed="hr",outcome="rejected"} 1',
      ]),
    );
    expect(await metric('muster_changes_total')).toEqual(
      expect.arrayContaining([
        'muster_changes_total{kind="memberships-added"} 1',
        'muster_changes_total{kind="subscribed"} 2',
      ]),
    );
    expect(await metric('muster_runs')).toContain('muster_runs{state="completed"} 2');
    expect(await metric('muster_runs_held')).toEqual(['muster_runs_held 0']);
    expect(await metric('muster_feed_last_success_age_seconds')).toEqual([
      'muster_feed_last_success_age_seconds{feed="hr"} 0',
    ]);
    expect(await metric('muster_workers')).toEqual(['muster_workers 1']);
    expect((await metric('muster_queue_jobs')).length).toBeGreaterThan(0);
    expect((await metric('nodejs_eventloop_lag_p99_seconds')).length).toBe(1);
    expect((await metric('muster_job_duration_seconds_count')).some((line) => line.includes('job="apply"'))).toBe(true);
  });

  test('tell how long a scheduled feed is overdue, also where no run of it ever completed', async () => {
    const { store, clock } = api.muster;
    const overdue = async (): Promise<unknown> =>
      (await figuresOf(api.context)()).feeds.find(({ feed }) => feed === 'nightly')?.overdue;
    await api.muster.feed(
      `${HR.replace('name: hr', 'name: nightly')}source: { file: x.csv }\nschedule: { cron: "0 2 * * *" }\n`,
    );
    const since = new Date('2026-01-10T01:00:00Z');
    await store.feeds.updateOne({ _id: 'nightly' }, { $set: { 'scheduled.since': since } });
    const before = clock.now();
    clock.set('2026-01-10T01:59:00Z');
    expect(await overdue()).toBe(0);
    clock.set('2026-01-11T03:00:00Z');
    expect(await overdue()).toBe(25 * 3600);
    await api.muster.import('EmployeeID,Mail,FirstName,LastName,Status,Groups\n9,,,,A,sector-a\n', { feed: 'nightly' });
    expect(await overdue()).toBe(0);
    clock.set('2026-01-12T02:00:30Z');
    expect(await overdue()).toBe(30);
    clock.set(before);
  });

  test('name no person and no run', async () => {
    const text = await (await fetch(`${listening.url}/metrics`)).text();
    expect(text).not.toMatch(/secret@|Wilhelmina|Oranje|"r\d+"/);
  });

  test("on the API's own port they take an API key", async () => {
    answered(401, await api.ask(undefined, 'GET', '/metrics'));
    answered(403, await api.ask(await api.key('operator', ['runs:read']), 'GET', '/metrics'));
    expect(answered(200, await api.ask(await api.key('operator', ['metrics:read']), 'GET', '/metrics')).body).toContain(
      'muster_runs',
    );
  });
});

describe('health', () => {
  test('is alive and ready, without log-in, on both ports', async () => {
    expect(answered(200, await api.ask(undefined, 'GET', '/healthz')).json()).toEqual({ status: 'alive' });
    expect(answered(200, await api.ask(undefined, 'GET', '/readyz')).json()).toMatchObject({
      ready: true,
      checks: { store: 'ok', redis: 'ok', work: 'ok' },
      workers: 1,
    });
    expect((await fetch(`${listening.url}/readyz`)).status).toBe(200);
  });

  test('a run that makes no progress though a worker is up is seen: progress counts, not a ping', async () => {
    const { store, clock } = api.muster;
    const readiness = new ReadinessCheck(api.context);
    const _id = 'r700' as RunId;
    await store.runs.insertOne({ ...blankRun(_id, 'structure', 'test', 'stuck', clock.now()), attempt: 7 });
    await store.outbox.insertMany(
      [1, 2].map((batch) => ({
        _id: { run: _id, batch: 7_000_000 + batch },
        job: 'apply' as const,
        tries: 0,
        at: new Date(8.64e15),
      })),
    );
    expect((await readiness.check()).checks.work).toBe('ok');
    clock.forward(STUCK_AFTER - 1);
    expect(await readiness.check()).toMatchObject({ ready: true });
    clock.forward(1);
    expect(await readiness.check()).toMatchObject({
      ready: false,
      checks: { store: 'ok', redis: 'ok', work: 'stuck' },
    });
    await store.outbox.deleteOne({ _id: { run: _id, batch: 7_000_001 } });
    expect(await readiness.check()).toMatchObject({ ready: true, checks: { work: 'ok' } });
    await store.outbox.deleteMany({ '_id.run': _id });
    await store.runs.deleteOne({ _id });
  });

  test('what cannot be reached is said, and does not hang', async () => {
    const uri = new URL(inject('mongodbUri'));
    uri.pathname = `/${api.muster.store.connection.name}`;
    const store = await openStore(uri.href);
    const redis = connectRedis('redis://127.0.0.1:1', 'producer', () => undefined);
    const queues = new Queues(redis, 'none', jobs);
    const readiness = new ReadinessCheck({ ...api.context, store, queues });
    expect(await readiness.check()).toMatchObject({ ready: false, checks: { store: 'ok', redis: 'unreachable' } });
    await store.close();
    expect(await readiness.check()).toMatchObject({ ready: false, checks: { store: 'unreachable', work: 'unknown' } });
    await queues.close().catch(() => undefined);
    redis.disconnect();
  });
});

describe('the documentation', () => {
  test('is OpenAPI 3.1 and names an operation for every route, with problems', async () => {
    const document = answered(200, await api.ask(undefined, 'GET', '/api/openapi.json')).json<{
      openapi: string;
      paths: Record<string, Record<string, { operationId: string; responses: Record<string, unknown> }>>;
    }>();
    expect(document.openapi).toBe('3.1.0');
    const operations = Object.values(document.paths).flatMap((methods) => Object.values(methods));
    expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(operations.length);
    expect(operations.filter(({ responses }) => !responses['4XX'] && !responses['4xx'])).toEqual([]);
  });

  test('is browsable without another host', async () => {
    const page = answered(200, await api.ask(undefined, 'GET', '/api/docs/'));
    expect(page.body).not.toMatch(/https?:\/\//);
    answered(200, await api.ask(undefined, 'GET', '/api/docs/static/swagger-ui-bundle.js'));
  });
});
