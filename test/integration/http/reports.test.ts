import { beforeAll, describe, expect, test } from 'vitest';
import { COMPANY, HR } from '../../harness.ts';
import { answered, useApi } from './asking.ts';

const api = useApi();
let admin = '';
let operator = '';
let instructor = '';
const INES = 'ines@example.org';
const ask = (key: string, method: string, path: string, payload?: object, headers: Record<string, string> = {}) =>
  api.ask(key, method, path, payload, headers);

interface Saved {
  readonly report: string;
  readonly name: string;
  readonly mayChange: boolean;
  readonly settings: Record<string, unknown> | null;
}
const save = async (key: string, body: object) =>
  answered(201, await ask(key, 'POST', 'reports', body)).json<Saved>().report;
const rows = async (key: string, report: string, query = '') =>
  answered(200, await ask(key, 'GET', `reports/${report}/rows?format=json${query}`)).json<object[]>();

/** Ann in sector-a, that Ines instructs, and in sector-b; Bob in sector-b. */
beforeAll(async () => {
  const { muster } = api;
  await muster.structure(COMPANY);
  await muster.feed(HR);
  await muster.import(
    'EmployeeID,Mail,FirstName,LastName,Status,Groups\na,ann@example.org,,Ann,A,sector-a;sector-b\nb,,,Bob,A,sector-b\n',
  );
  admin = await api.key('administrator');
  operator = await api.key('operator');
  instructor = await api.keyOf('instructor', INES);
  answered(200, await ask(admin, 'PATCH', 'groups/sector-a', { instructors: [INES] }));
});

describe('four steps', () => {
  test('what there is to choose from', async () => {
    const subjects = answered(200, await ask(admin, 'GET', 'reports/columns')).json<{ what: string }[]>();
    expect(subjects.map(({ what }) => what)).toEqual(['learners', 'subscriptions', 'progress', 'memberships', 'runs']);
    expect(subjects[0]).toMatchObject({
      columns: expect.arrayContaining([{ name: 'lastName', title: 'Last name', type: 'text' }]),
    });
  });

  test('a preview shows the first rows of what is not saved, and saves nothing', async () => {
    const body = { name: 'x', what: 'subscriptions', columns: ['learner', 'course', 'since'], order: ['-course'] };
    const { columns, rows: shown } = answered(200, await ask(admin, 'POST', 'reports/preview', body)).json<{
      columns: { name: string }[];
      rows: unknown[][];
    }>();
    expect(columns.map(({ name }) => name)).toEqual(['learner', 'course', 'since']);
    expect(shown).toHaveLength(6);
    expect(shown[0]).toEqual(['a', 'welcome', '2026-01-10T02:00:00.000Z']);
    expect(await api.muster.store.reports.countDocuments()).toBe(0);
  });

  test('saved, changed under If-Match, and deleted', async () => {
    const body = { name: 'Everybody', what: 'learners' };
    const made = answered(201, await ask(admin, 'POST', 'reports', body));
    const { report } = made.json<Saved>();
    expect(made.headers.location).toBe(`/api/v1/reports/${report}`);
    const { etag = '' } = made.headers;
    answered(422, await ask(admin, 'POST', 'reports', body));
    const change = { ...body, columns: ['lastName'] };
    const changed = answered(200, await ask(admin, 'PUT', `reports/${report}`, change, { 'if-match': etag }));
    expect(changed.json()).toMatchObject({ settings: { columns: ['lastName'], filter: {} } });
    answered(412, await ask(admin, 'PUT', `reports/${report}`, change, { 'if-match': etag }));
    answered(412, await ask(admin, 'DELETE', `reports/${report}`, undefined, { 'if-match': etag }));
    const { etag: now = '' } = answered(200, await ask(operator, 'GET', `reports/${report}`)).headers;
    answered(204, await ask(admin, 'DELETE', `reports/${report}`, undefined, { 'if-match': now }));
    answered(404, await ask(admin, 'GET', `reports/${report}`));
  });

  test.each([
    [{ what: 'learners' }, 400],
    [{ name: 'x', what: 'learners', colums: [] }, 400],
    [{ name: 'x', what: 'learners', columns: ['$where'] }, 400],
    [{ name: 'x', what: 'learners', columns: ['attributes.$where'] }, 201],
    [{ name: 'y', what: 'learners', filter: { groups: [{ $ne: null }] } }, 400],
    [{ name: 'y', what: 'learners', filter: { groups: ['nowhere'] } }, 404],
    [{ name: 'y', what: 'subscriptions', filter: { dates: { from: '2026-02-31' } } }, 400],
  ])('%j is answered with %i', async (body, status) => {
    expect((await ask(admin, 'POST', 'reports', body)).statusCode).toBe(status);
  });

  test('an attribute may be called anything', async () => {
    const body = {
      name: 'x',
      what: 'learners',
      columns: ['attributes.$where', 'attributes.a.b', 'attributes.__proto__'],
    };
    expect(answered(200, await ask(admin, 'POST', 'reports/preview', body)).json()).toMatchObject({
      rows: [
        [null, null, null],
        [null, null, null],
      ],
    });
  });
});

test('rows are a download in three formats, and one group is asked for in the address', async () => {
  const report = await save(admin, { name: 'Namen/é', what: 'learners', columns: ['learner'] });
  const of = (query: string) => ask(admin, 'GET', `reports/${report}/rows${query}`);
  const csv = answered(200, await of(''));
  expect(csv.body).toBe('Learner\r\na\r\nb\r\n');
  expect(csv.headers).toMatchObject({
    'content-type': 'text/csv; charset=utf-8',
    'content-disposition': "attachment; filename*=UTF-8''Namen%20%C3%A9.csv",
  });
  expect(
    answered(200, await of('?format=xlsx'))
      .rawPayload.subarray(0, 2)
      .toString(),
  ).toBe('PK');
  expect(answered(200, await of('?format=json&group=sector-a')).json()).toEqual([{ learner: 'a' }]);
  answered(404, await of('?group=nowhere'));
  answered(400, await of('?format=pdf'));
});

test('R28: who made, changed and deleted a report is in the audit; of those who receive it, their number', async () => {
  const body = { name: 'Audited', what: 'learners', send: { to: ['someone@example.org'] } };
  const report = await save(operator, body);
  const shared = { ...body, sharedWith: ['instructor'], schedule: { cron: '0 6 * * *' } };
  answered(200, await ask(admin, 'PUT', `reports/${report}`, shared));
  answered(200, await ask(admin, 'PUT', `reports/${report}`, { ...shared, send: { to: ['other@example.org'] } }));
  answered(204, await ask(operator, 'DELETE', `reports/${report}`));
  const { body: lines } = answered(200, await ask(operator, 'GET', 'exports/audit'));
  expect(lines).not.toMatch(/someone@|other@/);
  const entries = lines
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { run: string; by: string; why: string; detail: { report?: string } | null })
    .filter(({ detail }) => detail?.report === report)
    .sort((a, b) => Number(a.run.slice(1)) - Number(b.run.slice(1)));
  const send = { to: 1, format: 'xlsx' };
  const schedule = { cron: '0 6 * * *' };
  expect(entries.map(({ by, why, detail }) => [by, why, detail])).toMatchObject([
    ['key:test-2', 'reports add', { owner: 'key:test-2', before: null, after: { name: 'Audited', send } }],
    ['key:test-1', 'reports edit', { before: { sharedWith: [] }, after: { sharedWith: ['instructor'], schedule } }],
    ['key:test-1', 'reports edit', { recipients: 'changed' }],
    ['key:test-2', 'reports delete', { before: { send }, after: null }],
  ]);
});

test('sent now: it waits for a worker; what names nobody is not sent', async () => {
  const report = await save(admin, { name: 'Sent', what: 'learners', send: { to: ['hr@example.org'] } });
  answered(202, await ask(admin, 'POST', `reports/${report}/send`));
  expect(answered(200, await ask(admin, 'GET', `reports/${report}`)).json()).toMatchObject({
    lastSending: { state: 'waiting', error: null, by: 'key:test-1' },
  });
  const silent = await save(admin, { name: 'Silent', what: 'learners' });
  answered(409, await ask(admin, 'POST', `reports/${silent}/send`));
});

describe('R29: an instructor', () => {
  test('gets of every subject the rows of his groups alone, whatever the report asks for', async () => {
    const all = {
      learners: ['learner', 'groups', 'activeCourses'],
      subscriptions: ['learner', 'course', 'group'],
      progress: ['learner', 'course'],
      memberships: ['learner', 'group', 'groupName'],
    };
    const seen: Record<string, object[]> = {};
    for (const [what, columns] of Object.entries(all)) {
      const order = columns.filter((name) => name === 'learner' || name === 'course');
      const shared = await save(admin, { name: `Shared ${what}`, what, columns, order, sharedWith: ['instructor'] });
      seen[what] = await rows(instructor, shared);
      const own = await save(instructor, { name: `Own ${what}`, what, columns, order });
      expect(await rows(instructor, own)).toEqual(seen[what]);
      expect((await rows(admin, own)).length).toBeGreaterThanOrEqual(seen[what].length);
    }
    expect(seen).toEqual({
      learners: [{ learner: 'a', groups: ['sector-a'], activeCourses: 2 }],
      subscriptions: [
        { learner: 'a', course: 'safety', group: 'sector-a' },
        { learner: 'a', course: 'welcome', group: 'sector-a' },
      ],
      progress: [],
      memberships: [{ learner: 'a', group: 'sector-a', groupName: 'Sector A' }],
    });
  });

  test('and no count tells of others: neither of learners, nor of courses and groups of his own ones', async () => {
    const summary = (what: string, by: string) => ({ name: `By ${what} ${by}`, what, summary: { by: [by] } });
    const of = async (what: string, by: string) => rows(instructor, await save(instructor, summary(what, by)));
    expect(await of('memberships', 'group')).toEqual([{ group: 'sector-a', count: 1 }]);
    expect(await of('learners', 'groupName')).toEqual([{ groupName: 'Sector A', count: 1 }]);
    expect(await of('subscriptions', 'course')).toEqual([
      { course: 'safety', count: 1 },
      { course: 'welcome', count: 1 },
    ]);
  });

  test("and no column tells of subenvironments, which an instructor's course does not show either", async () => {
    answered(201, await ask(admin, 'POST', 'subenvironments', { name: 'north' }));
    answered(201, await ask(admin, 'POST', 'courses', { name: 'Hers', externalId: 'hers', subenvironment: 'north' }));
    answered(200, await ask(admin, 'POST', 'groups/sector-a/link', { courses: ['hers'] }));
    const columns = ['course', 'subenvironment'];
    const filter = { courses: ['hers'] };
    const report = { name: 'x', what: 'subscriptions', columns, filter, order: ['subenvironment'] };
    const shown = async (key: string) => answered(200, await ask(key, 'POST', 'reports/preview', report)).json();
    expect(await shown(admin)).toMatchObject({ rows: [['hers', 'north']] });
    expect(await shown(instructor)).toMatchObject({ rows: [['hers', null]] });
    answered(200, await ask(admin, 'POST', 'groups/sector-a/unlink', { courses: ['hers'], removal: 'purge' }));
  });

  test('a shared filter that names what he does not see gives no row, and is not told', async () => {
    const filter = { groups: ['sector-b'] };
    const report = await save(admin, { name: 'Hidden filter', what: 'learners', filter, sharedWith: ['instructor'] });
    expect(await rows(instructor, report)).toEqual([]);
    const seen = answered(200, await ask(instructor, 'GET', `reports/${report}`));
    expect(seen.json()).toEqual({
      report,
      name: 'Hidden filter',
      what: 'learners',
      origin: 'database',
      mayChange: false,
      settings: null,
      owner: null,
      changedAt: null,
      nextDue: null,
      lastSending: null,
    });
    expect(seen.headers.etag).toBeUndefined();
    for (const [method, path] of [
      ['PUT', ''],
      ['DELETE', ''],
      ['POST', '/send'],
    ] as const) {
      const body = method === 'PUT' ? { name: 'Mine', what: 'learners' } : undefined;
      answered(403, await ask(instructor, method, `reports/${report}${path}`, body));
    }
  });

  test('his reports are about learners, for himself, and sent to himself', async () => {
    const refused = (more: object) => ask(instructor, 'POST', 'reports', { name: 'x', what: 'learners', ...more });
    answered(422, await refused({ what: 'runs' }));
    answered(422, await refused({ sharedWith: ['instructor'] }));
    answered(422, await refused({ send: { to: ['elsewhere@example.org'] } }));
    answered(404, await refused({ filter: { subenvironments: ['north'] } }));
    answered(201, await refused({ send: { to: [INES] } }));
    const about = answered(200, await ask(instructor, 'GET', 'reports/columns')).json<{ what: string }[]>();
    expect(about.map(({ what }) => what)).not.toContain('runs');
  });

  test('reports of others, and those about runs, are not there', async () => {
    const runs = await save(admin, { name: 'Runs', what: 'runs', sharedWith: ['instructor'] });
    const other = await save(operator, { name: 'Other', what: 'learners' });
    const absent = await ask(instructor, 'GET', 'reports/pabsent');
    for (const report of [runs, other]) {
      const { statusCode, body } = await ask(instructor, 'GET', `reports/${report}`);
      expect({ statusCode, body }).toEqual({ statusCode: 404, body: absent.body });
      expect((await ask(instructor, 'GET', `reports/${report}/rows`)).body).toBe(absent.body);
    }
    const { items } = answered(200, await ask(instructor, 'GET', 'reports?limit=1000')).json<{ items: Saved[] }>();
    expect(items.every(({ name }) => /^(Shared|Own|By|Hidden|x$)/.test(name))).toBe(true);
    // A name that somebody else has is free: a refusal would tell of it.
    await save(instructor, { name: 'Other', what: 'learners' });
  });

  test('who became one finds the reports about runs no more that were saved before, and the others still', async () => {
    const key = await api.keyOf('operator', 'otto@example.org');
    const [runs, learners] = [
      await save(key, { name: 'Old runs', what: 'runs' }),
      await save(key, { name: 'Old learners', what: 'learners' }),
    ];
    const become = async (role: string) => answered(200, await ask(admin, 'PATCH', 'users/otto@example.org', { role }));
    const listed = async () => {
      const { items } = answered(200, await ask(key, 'GET', 'reports?limit=1000')).json<{ items: Saved[] }>();
      return items.map(({ report }) => report).filter((report) => [runs, learners].includes(report));
    };
    await become('instructor');
    for (const [method, path, body] of [
      ['GET', '', undefined],
      ['GET', '/rows', undefined],
      ['PUT', '', { name: 'Old runs', what: 'learners' }],
      ['DELETE', '', undefined],
      ['POST', '/send', undefined],
    ] as const) {
      const absent = await ask(key, method, `reports/pabsent${path}`, body);
      expect(answered(404, await ask(key, method, `reports/${runs}${path}`, body)).body).toBe(absent.body);
    }
    expect(await listed()).toEqual([learners]);
    await become('operator');
    expect(await listed()).toEqual([learners, runs]);
  });
});
