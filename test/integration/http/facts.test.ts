import { beforeAll, describe, expect, test } from 'vitest';
import { COMPANY, HR } from '../../harness.ts';
import { answered, useApi } from './asking.ts';

const api = useApi();
let key = '';

const rows = (...lines: string[]) =>
  `EmployeeID,Mail,FirstName,LastName,Status,Groups\n${lines.map((line) => `${line}\n`).join('')}`;

beforeAll(async () => {
  const { muster } = api;
  await muster.structure(COMPANY);
  await muster.feed(HR);
  await muster.import(
    rows(
      '001,ann@example.org,Ann,Arbor,A,sector-a',
      '002,bob@example.org,Bob,Berg,A,sector-a',
      '003,,Cid,Cole,A,sector-b',
    ),
  );
  key = await api.key('administrator');
});

const get = async <T = Record<string, unknown>>(path: string) =>
  answered(200, await api.ask(key, 'GET', path)).json<T>();
const post = async <T = Record<string, unknown>>(path: string, body?: object, status = 200) =>
  answered(status, await api.ask(key, 'POST', path, body)).json<T>();

describe('groups', () => {
  test('are listed by key with where they lie, and shown with own and inherited courses', async () => {
    expect(await get('groups')).toMatchObject({
      items: [
        { externalId: 'all', parent: null, children: 2, courses: ['welcome'] },
        { externalId: 'lone' },
        { externalId: 'sector-a', parent: 'all', courses: ['safety'] },
        { externalId: 'sector-b', parent: 'all' },
      ],
      next: null,
    });
    expect(await get('groups?parent=all&limit=1')).toMatchObject({ items: [{ externalId: 'sector-a' }] });
    expect(await get('groups/all')).toMatchObject({
      children: ['sector-a', 'sector-b'],
      members: { direct: 0, effective: 3 },
    });
    expect(await get('groups/sector-a')).toMatchObject({
      courses: [
        { course: 'safety', inherited: false },
        { course: 'welcome', inherited: true },
      ],
    });
  });

  test('members come page by page, all of them once', async () => {
    const found: string[] = [];
    for (let cursor = ''; ; ) {
      const { items, next } = await get<{ items: { externalId: string }[]; next: string | null }>(
        `groups/all/members?effective=true&limit=2${cursor && `&cursor=${cursor}`}`,
      );
      found.push(...items.map(({ externalId }) => externalId));
      if (next === null) break;
      cursor = next;
    }
    expect(found).toEqual(['001', '002', '003']);
  });

  test('a pasted list of learners is added with an outcome for each line', async () => {
    const added = await post('groups/lone/add', { learners: ['', '001', 'bob@example.org', '002', 'nobody', ' '] });
    expect(added).toMatchObject({
      memberships: { added: 2, removed: 0 },
      lines: [
        { learner: '', outcome: 'blank' },
        { learner: '001', outcome: 'added' },
        { learner: 'bob@example.org', outcome: 'added' },
        { learner: '002', outcome: 'repeated' },
        { learner: 'nobody', outcome: 'unknown' },
        { learner: ' ', outcome: 'blank' },
      ],
    });
  });

  test('R6: removing with keep leaves a direct grant; R11: the preview said so', async () => {
    await post('groups/lone/link', { courses: ['sales'] });
    expect(await api.muster.subscriptions('001')).toContain('sales: active');
    const preview = await post('groups/lone/preview', { change: 'remove', learners: ['001'], removal: 'keep' });
    expect(preview).toMatchObject({ learners: 1, courses: 1, counts: { kept: 1 } });
    await post('groups/lone/remove', { learners: ['001'], removal: 'keep' });
    expect(await api.muster.subscriptions('001')).toContain('sales: active*');
    expect(await api.muster.memberships('001')).toEqual(['sector-a: hr']);
  });

  test('R10: unlinking with purge deletes results, and the preview counted them', async () => {
    await post('learners/002/progress', { course: 'sales', completion: 50 });
    expect(await post('groups/lone/preview', { change: 'unlink', courses: ['sales'] })).toMatchObject({
      learners: 1,
      courses: 1,
      results: 1,
    });
    expect(await post('groups/lone/unlink', { courses: ['sales'], removal: 'purge' })).toMatchObject({
      subscriptions: { purged: 1 },
    });
    expect(await get('learners/002/progress')).toEqual({ items: [] });
  });

  test('are created, edited with If-Match, moved and deleted', async () => {
    const made = await api.ask(key, 'POST', 'groups', { name: 'Team', externalId: 'team', parent: 'sector-a' });
    answered(201, made);
    const etag = String(made.headers.etag);
    const edited = answered(200, await api.ask(key, 'PATCH', 'groups/team', { name: 'Team 1' }, { 'if-match': etag }));
    expect(edited.json()).toMatchObject({ name: 'Team 1', parent: 'sector-a' });
    expect(edited.headers.etag).not.toBe(etag);
    expect(
      answered(412, await api.ask(key, 'PATCH', 'groups/team', { name: 'Team 2' }, { 'if-match': etag })).json(),
    ).toMatchObject({ type: 'urn:muster:changed-meanwhile' });
    expect(await get('groups/team')).toMatchObject({ name: 'Team 1' });
    answered(409, await api.ask(key, 'POST', 'groups', { name: 'Other', externalId: 'team' }));
    answered(409, await api.ask(key, 'POST', 'groups/sector-a/move', { parent: 'team' }));
    answered(409, await api.ask(key, 'POST', 'groups/sector-a/preview', { change: 'move', parent: 'team' }));
    expect(answered(409, await api.ask(key, 'POST', 'groups/team/move', { parent: 'team' })).json()).toMatchObject({
      detail: 'A group cannot lie below itself; nothing was changed.',
    });
    await post('groups/team/move', { parent: null });
    expect(await get('groups/team')).toMatchObject({ parent: null });
    answered(200, await api.ask(key, 'DELETE', 'groups/team?removal=expire'));
    answered(404, await api.ask(key, 'GET', 'groups/team'));
  });

  test('many edits of one group at once all stand: none is lost', async () => {
    await post('courses', { name: 'C', externalId: 'c-0' }, 201);
    const courses = await Promise.all(
      Array.from({ length: 6 }, (_, at) =>
        post<{ externalId: string }>('courses', { name: 'C', externalId: `c-${at + 1}` }, 201),
      ),
    );
    await Promise.all(courses.map(({ externalId }) => post('groups/lone/link', { courses: [externalId] })));
    const { courses: linked } = await get<{ courses: { course: string }[] }>('groups/lone');
    expect(linked.map(({ course }) => course)).toEqual(courses.map(({ externalId }) => externalId));
  });
});

describe('learners and courses', () => {
  test('are listed in order, searched and shown', async () => {
    expect(await get('learners?limit=2')).toMatchObject({ items: [{ externalId: '001' }, { externalId: '002' }] });
    const { next } = await get<{ next: string }>('learners?limit=2');
    expect(await get(`learners?limit=2&cursor=${next}`)).toMatchObject({
      items: [{ externalId: '003', groups: ['sector-b'] }],
      next: null,
    });
    expect(await get('learners?search=ann%40')).toMatchObject({ items: [{ externalId: '001' }] });
    expect(await get('learners/ann@example.org')).toMatchObject({
      externalId: '001',
      memberships: [{ group: 'sector-a', sources: [{ source: 'hr', validFrom: null }] }],
    });
  });

  test('R9: a move leaves what both groups give untouched', async () => {
    await post('learners/001/progress', { course: 'safety', completion: 30 });
    const before = await api.muster.store.subscriptions.findOne({ _id: await api.muster.learner('001') });
    await post('learners/001/move', { from: 'sector-a', to: 'sector-b' });
    const after = await get<{ subscriptions: { course: string; since: string }[] }>('learners/001');
    const safety = after.subscriptions.find(({ course }) => course === 'safety');
    expect(safety).toMatchObject({ status: 'active', through: ['sector-b'], progress: { completion: 30 } });
    const course = await api.muster.course('safety');
    expect(safety?.since).toBe(before?.items.find((item) => item.course === course)?.since.toISOString());
  });

  test('are added and edited; a stale edit and a taken address are refused', async () => {
    const added = answered(
      201,
      await api.ask(key, 'POST', 'learners', {
        externalId: '900',
        email: 'z@example.org',
        attributes: { department: 'Legal' },
      }),
    );
    const etag = String(added.headers.etag);
    answered(
      200,
      await api.ask(
        key,
        'PATCH',
        'learners/900',
        { firstName: 'Zoë', attributes: { department: null } },
        { 'if-match': etag },
      ),
    );
    expect(await get('learners/900')).toMatchObject({ firstName: 'Zoë', attributes: {} });
    answered(412, await api.ask(key, 'PATCH', 'learners/900', { firstName: 'X' }, { 'if-match': etag }));
    answered(409, await api.ask(key, 'PATCH', 'learners/900', { email: 'BOB@example.org' }));
  });

  test('a direct grant is made and ended', async () => {
    expect(await post('courses/sales/grant', { learners: ['900', '900'] })).toMatchObject({
      lines: [{ outcome: 'granted' }, { outcome: 'repeated' }],
    });
    expect(await get('courses/sales/subscribers')).toMatchObject({
      items: expect.arrayContaining([expect.objectContaining({ externalId: '900', direct: true })]),
    });
    expect(await post('courses/sales/preview', { learners: ['900'] })).toMatchObject({
      learners: 1,
      counts: { expired: 1 },
    });
    expect(await post('courses/sales/revoke', { learners: ['900'] })).toMatchObject({ subscriptions: { expired: 1 } });
  });

  test('exports stream every learner, as NDJSON and CSV', async () => {
    const lines = answered(200, await api.ask(key, 'GET', 'exports/learners'))
      .body.trim()
      .split('\n');
    expect(lines.map((line) => (JSON.parse(line) as { externalId: string }).externalId)).toEqual([
      '001',
      '002',
      '003',
      '900',
    ]);
    const csv = answered(200, await api.ask(key, 'GET', 'exports/subscriptions?format=csv'));
    expect(csv.headers['content-type']).toContain('text/csv');
    expect(csv.body.split('\r\n')[0]).toBe('learner,email,course,status,through,direct,since,completion,score');
  });
});

describe('writes', () => {
  test('with an Idempotency-Key are done once, and answered the same again', async () => {
    const headers = { 'idempotency-key': 'once' };
    const first = answered(201, await api.ask(key, 'POST', 'groups', { name: 'Once' }, headers));
    const second = answered(201, await api.ask(key, 'POST', 'groups', { name: 'Once' }, headers));
    expect(second.body).toBe(first.body);
    expect(second.headers['idempotency-replayed']).toBe('true');
    answered(422, await api.ask(key, 'POST', 'groups', { name: 'Twice' }, headers));
    const { items } = await get<{ items: { name: string }[] }>('groups');
    expect(items.filter(({ name }) => name === 'Once' || name === 'Twice')).toHaveLength(1);
  });

  test('that come twice at the same time are done once', async () => {
    const headers = { 'idempotency-key': 'at-once' };
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => api.ask(key, 'POST', 'groups', { name: 'At once' }, headers)),
    );
    expect(answers.filter(({ statusCode }) => statusCode === 201).length).toBeGreaterThanOrEqual(1);
    expect(answers.every(({ statusCode }) => statusCode === 201 || statusCode === 409)).toBe(true);
    const { items } = await get<{ items: { name: string }[] }>('groups');
    expect(items.filter(({ name }) => name === 'At once')).toHaveLength(1);
  });

  test('of a wrong shape are refused with a pointer to each fault', async () => {
    const answer = answered(400, await api.ask(key, 'POST', 'groups', { name: '', instructors: ['a', 7], role: 'x' }));
    expect(answer.headers['content-type']).toContain('application/problem+json');
    const { errors, ...problem } = answer.json<{ errors: { pointer: string }[] }>();
    expect(problem).toMatchObject({ type: 'urn:muster:invalid', title: 'Bad request', status: 400 });
    expect(errors.map(({ pointer }) => pointer)).toEqual(expect.arrayContaining(['/name', '/instructors/1', '']));
  });
});
