import { existsSync, readdirSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { RunId } from '../../../src/domain/ids.ts';
import { cancelRun } from '../../../src/run/approval.ts';
import { requestRun } from '../../../src/run/request.ts';
import { REDACTED } from '../../../src/settings/redact.ts';
import { COMPANY, HR } from '../../harness.ts';
import { answered, multipart, useApi } from './asking.ts';

const api = useApi();
let key = '';
/** A run of which a part was approved. */
let inPart = '';

const ASKED = { mode: 'full', preview: false, approve: false } as const;
const rows = (count: number) =>
  `EmployeeID,Mail,FirstName,LastName,Status,Groups\n${Array.from({ length: count }, (_, at) => `${at + 1},p${at + 1}@example.org,A,B,A,sector-a\n`).join('')}`;

beforeAll(async () => {
  await api.muster.structure(COMPANY);
  key = await api.key('operator');
});

/** What lies where this process takes uploads to. */
function spooled(): string[] {
  const own = join(api.context.uploads, `${hostname()}_${process.pid}`);
  return existsSync(own) ? readdirSync(own) : [];
}

async function upload(content: string, fields: Parameters<typeof multipart>[1] = {}) {
  const { payload, headers } = multipart(content, fields);
  const answer = await api.ask(key, 'POST', 'feeds/hr/runs', payload, headers);
  answered(202, answer);
  const { run } = answer.json<{ run: RunId }>();
  await api.muster.settled(run);
  return run;
}

describe('feeds and runs by the API', () => {
  test('a feed is put, shown, listed and checked', async () => {
    expect((await api.ask(key, 'PUT', 'feeds/hr', { text: HR })).statusCode).toBe(201);
    expect((await api.ask(key, 'PUT', 'feeds/hr', { text: HR })).statusCode).toBe(200);
    expect((await api.ask(key, 'GET', 'feeds/hr')).json()).toMatchObject({ name: 'hr', origin: 'database', text: HR });
    expect((await api.ask(key, 'GET', 'feeds')).json()).toMatchObject({ items: [{ name: 'hr' }], next: null });
    const wrong = await api.ask(key, 'POST', 'feeds/check', { text: HR.replace('learner:', 'lerner:') });
    expect(wrong.statusCode).toBe(422);
    expect(wrong.json<{ detail: string }>().detail).toContain('learner');
  });

  test('a feed of the API reads no file outside of where feeds lie', async () => {
    for (const file of ['/etc/passwd', '../secret.csv', '.env', 'inbox/../../x.csv', '/proc/self/environ']) {
      const answer = await api.ask(key, 'PUT', 'feeds/spy', {
        text: HR.replace('name: hr', `name: spy\nsource: { file: ${file} }`),
      });
      expect(`${file}: ${answer.statusCode}`).toBe(`${file}: 422`);
    }
  });

  test('an uploaded file is run, its report is that of the run, and what was spooled goes', async () => {
    const run = await upload(rows(12));
    const report = (await api.ask(key, 'GET', `runs/${run}`)).json();
    expect(report).toMatchObject({
      state: 'completed',
      feed: 'hr',
      learners: { created: 12 },
      source: { name: 'hr.csv' },
      by: 'key:test-1',
    });
    expect(await api.muster.subscriptions('1')).toEqual(['safety: active', 'welcome: active']);
  });

  test('R17: the same file again changes nothing', async () => {
    const run = await upload(rows(12));
    expect((await api.ask(key, 'GET', `runs/${run}`)).json()).toMatchObject({ state: 'completed', noChange: true });
  });

  test('a form that neither says yes nor no to a preview runs nothing', async () => {
    for (const preview of ['maybe', 'True', '1', '']) {
      const { payload, headers } = multipart(rows(13), { preview });
      expect((await api.ask(key, 'POST', 'feeds/hr/runs', payload, headers)).statusCode).toBe(400);
    }
  });

  test('a form that says a thing twice runs nothing, and leaves no file', async () => {
    const { store } = api.muster;
    const runs = await store.runs.countDocuments();
    for (const values of [
      ['true', 'false'],
      ['false', 'true'],
      ['true', 'true'],
    ]) {
      const { payload, headers } = multipart(
        rows(13),
        values.map((value) => ['preview', value] as const),
      );
      const answer = answered(400, await api.ask(key, 'POST', 'feeds/hr/runs', payload, headers));
      expect(answer.json()).toMatchObject({ type: 'urn:muster:invalid', detail: expect.stringContaining('preview') });
    }
    expect(await store.runs.countDocuments()).toBe(runs);
    expect(spooled().length).toBeLessThanOrEqual(await store.runs.countDocuments({ 'source.temporary': true }));
  });

  test('JSON that is no start of a run is refused with a pointer to the fault', async () => {
    const answer = answered(400, await api.ask(key, 'POST', 'feeds/hr/runs', { preview: 'x' }));
    expect(answer.json()).toMatchObject({
      type: 'urn:muster:invalid',
      errors: [{ pointer: '/preview', detail: expect.any(String) }],
    });
  });

  test.each([undefined, 'application/json'])(
    'a preview by the API (its part of type %s) changes nothing and shows what would',
    async (type) => {
      const run = await upload(rows(13), [type === undefined ? ['preview', 'true'] : ['preview', 'true', type]]);
      expect((await api.ask(key, 'GET', `runs/${run}`)).json()).toMatchObject({
        state: 'planned',
        preview: true,
        learners: { created: 1 },
      });
      const { items } = (await api.ask(key, 'GET', `runs/${run}/changes`)).json<{ items: unknown[] }>();
      expect(items).toMatchObject([
        { externalId: '13', created: true, memberships: [{ group: 'sector-a', before: [] }] },
      ]);
    },
  );

  test('R30: a held run is approved once; approving it again is refused', async () => {
    const run = await upload('EmployeeID,Mail,FirstName,LastName,Status,Groups\n1,p1@example.org,A,B,A,sector-a\n');
    expect((await api.ask(key, 'GET', `runs/${run}`)).json()).toMatchObject({ state: 'held', guard: { held: true } });
    const approved = await api.ask(key, 'POST', `runs/${run}/approve`);
    answered(202, approved);
    await api.muster.settled(run);
    expect((await api.ask(key, 'GET', `runs/${run}`)).json()).toMatchObject({
      state: 'completed',
      memberships: { removed: 11 },
    });
    expect((await api.ask(key, 'POST', `runs/${run}/approve`)).statusCode).toBe(409);
    expect((await api.ask(key, 'POST', `runs/${run}/reject`)).statusCode).toBe(409);
  });

  test('a form where JSON is asked for is refused: as no body it would approve the whole of a held plan', async () => {
    await upload(rows(12), { approve: 'true' });
    const run = await upload(rows(1));
    const { payload, headers } = multipart('', { withoutRemovals: 'true' });
    for (const path of [`runs/${run}/approve`, `runs/${run}/undo`, 'feeds/check']) {
      const answer = answered(415, await api.ask(key, 'POST', path, payload, headers));
      expect(answer.json()).toMatchObject({ type: 'urn:muster:unsupported-media-type' });
    }
    answered(401, await api.ask(undefined, 'POST', `runs/${run}/approve`, payload, headers));
    expect(answered(200, await api.ask(key, 'GET', `runs/${run}`)).json()).toMatchObject({ state: 'held' });
    expect(await api.muster.memberships('2')).toEqual(['sector-a: hr']);
    answered(200, await api.ask(key, 'POST', `runs/${run}/reject`));
  });

  test('a held plan is approved without its removals', async () => {
    await upload(rows(12), { approve: 'true' });
    const header = 'EmployeeID,Mail,FirstName,LastName,Status,Groups';
    const run = await upload(`${header}\n1,p1@example.org,A,B,A,sector-a\n50,p50@example.org,A,B,A,sector-b\n`);
    inPart = run;
    answered(400, await api.ask(key, 'POST', `runs/${run}/approve`, { withoutRemovals: false }));
    answered(404, await api.ask(key, 'POST', `runs/${run}/approve`, { except: ['nobody'] }));
    answered(202, await api.ask(key, 'POST', `runs/${run}/approve`, { withoutRemovals: true }));
    await api.muster.settled(run);
    expect(await api.muster.memberships('50')).toEqual(['sector-b: hr']);
    expect(await api.muster.memberships('2')).toEqual(['sector-a: hr']);
  });

  test('R25: a run is undone by a run', async () => {
    const undone = answered(202, await api.ask(key, 'POST', `runs/${inPart}/undo`, { approve: true })).json<{
      run: RunId;
    }>();
    await api.muster.settled(undone.run);
    expect(answered(200, await api.ask(key, 'GET', `runs/${undone.run}`)).json()).toMatchObject({
      kind: 'undo',
      state: 'completed',
    });
    expect(await api.muster.memberships('50')).toEqual([]);
  });

  test('rejected rows come back as the file had them', async () => {
    const run = await upload(
      'EmployeeID,Mail,FirstName,LastName,Status,Groups\n1,p1@example.org,A,B,A,sector-a\n2,p2@example.org,A,"B, Jr.",A,SECTOR-A\n',
    );
    const answer = await api.ask(key, 'GET', `runs/${run}/rejected`);
    expect(answer.headers['content-type']).toContain('text/csv');
    expect(answer.body).toContain('2,p2@example.org,A,"B, Jr.",A,SECTOR-A,3,');
    expect((await api.ask(key, 'GET', `runs/${run}/problems`)).json()).toMatchObject({
      items: [{ row: 3, code: 'unknown-group' }],
      next: null,
    });
  });

  test('rejected rows that are kept no more are not found, rather than none', async () => {
    const run = await upload(`${rows(1)}2,p2@example.org,A,B,A,nowhere\n`);
    answered(200, await api.ask(key, 'GET', `runs/${run}/rejected`));
    await api.muster.store.runs.updateOne({ _id: run }, { $unset: { rejectedLayout: '' } });
    for (const path of ['rejected', 'problems'])
      expect(answered(404, await api.ask(key, 'GET', `runs/${run}/${path}`)).body).toContain('kept no more');
  });

  test('runs are listed newest first, page by page', async () => {
    const all = (await api.ask(key, 'GET', 'runs?limit=100'))
      .json<{ items: { run: string }[] }>()
      .items.map(({ run }) => run);
    const paged: string[] = [];
    for (let cursor = ''; ; ) {
      const page = (await api.ask(key, 'GET', `runs?limit=2${cursor && `&cursor=${cursor}`}`)).json<{
        items: { run: string }[];
        next: string | null;
      }>();
      paged.push(...page.items.map(({ run }) => run));
      if (page.next === null) break;
      cursor = page.next;
    }
    expect(paged).toEqual(all);
    expect(new Set(all).size).toBe(all.length);
  });

  test('the events of a run end with the run', async () => {
    const run = await upload(rows(3));
    const answer = await api.ask(key, 'GET', `runs/${run}/events`);
    expect(answer.headers['content-type']).toBe('text/event-stream');
    expect(answer.body).toMatch(/^event: end\ndata: \{"run":"r\d+","state":"(completed|held)"/);
  });

  test('a request without a file starts no run and leaves no file', async () => {
    const before = (await api.ask(key, 'GET', 'runs?limit=1000')).json<{ items: unknown[] }>().items.length;
    const { payload, headers } = multipart(rows(3));
    const answer = await api.ask(key, 'POST', 'feeds/hr/runs', payload.subarray(0, payload.length - 20), headers);
    expect(answer.statusCode).toBe(400);
    expect((await api.ask(key, 'GET', 'runs?limit=1000')).json<{ items: unknown[] }>().items.length).toBe(before);
    const kept = await api.muster.store.runs.countDocuments({ 'source.temporary': true });
    expect(spooled().length).toBeLessThanOrEqual(kept);
  });

  test('an unknown feed or run is not found, and says nothing of others', async () => {
    for (const [method, path] of [
      ['GET', 'runs/r999'],
      ['GET', 'feeds/none'],
      ['POST', 'runs/r999/approve'],
      ['GET', 'nothing/here'],
    ] as const) {
      const answer = await api.ask(key, method, path);
      answered(404, answer);
      expect(answer.headers['content-type']).toContain('application/problem+json');
    }
  });

  test('R23: approving while another run of the feed is at work is refused, and the same request is taken when that one has ended', async () => {
    const { store, clock } = api.muster;
    await upload(rows(12), { approve: 'true' });
    const run = await upload(rows(1));
    const other = await requestRun(api.context, { ...ASKED, feed: 'hr', by: 'test' });
    const until = new Date(clock.now().getTime() + 60_000);
    const lease = { owner: 'test', host: hostname(), pid: process.pid, until };
    await store.runs.updateOne({ _id: other._id }, { $set: { state: 'reading', working: true, lease } });
    const approve = () =>
      api.ask(key, 'POST', `runs/${run}/approve`, undefined, { 'idempotency-key': `approve ${run}` });
    expect(answered(409, await approve()).body).toContain('is at work');
    await cancelRun(api.context, other._id, 'test');
    answered(202, await approve());
    expect(await api.muster.settled(run)).toMatchObject({ state: 'completed' });
    expect((await approve()).headers['idempotency-replayed']).toBe('true');
  });

  test('checking a text with dots in place of secrets tells a reader nothing of the one that is stored', async () => {
    const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
    const text = HR.replace('name: hr', `name: told\nnotify: { webhook: "https://example.org", secret: ${secret} }`);
    answered(201, await api.ask(key, 'PUT', 'feeds/told', { text }));
    const shown = text.replace(secret, REDACTED).replace('externalId: EmployeeID', `externalId: "${REDACTED}"`);
    const reader = await api.key('operator', ['feeds:read']);
    const checked = answered(200, await api.ask(reader, 'POST', 'feeds/check', { text: shown }));
    expect(checked.body).not.toContain(secret);
  });
});
