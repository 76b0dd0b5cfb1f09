import { expect, test } from 'vitest';
import { jobs } from '../../../jobs/all.ts';
import { ROLES } from '../../../src/domain/role.ts';
import { openSession } from '../../../src/store/sessions.ts';
import { addUser } from '../../../src/store/users.ts';
import { answered, useApi } from './asking.ts';

const api = useApi();

test('an administrator reads the queues of BullMQ at /admin/queues', async () => {
  const key = await api.key('administrator');
  const page = answered(200, await api.ask(key, 'GET', '/admin/queues'));
  expect(page.headers['content-type']).toContain('text/html');
  expect(page.headers['content-security-policy']).toContain("base-uri 'self'");
  const files = [...page.body.matchAll(/(?:src|href)="(static\/[^"]+)"/g)].map(([, path]) => path);
  expect(files.length).toBeGreaterThan(3);
  for (const file of files) answered(200, await api.ask(key, 'GET', `/admin/queues/${file}`));
  const { queues } = answered(200, await api.ask(key, 'GET', '/admin/queues/api/queues')).json<{
    queues: { name: string; readOnlyMode: boolean }[];
  }>();
  expect(queues.map(({ name }) => name).sort()).toEqual(jobs.map(({ name }) => name).sort());
  expect(queues.every(({ readOnlyMode }) => readOnlyMode)).toBe(true);
});

test('R29: to everybody else they do not exist, and nobody reads them without logging in', async () => {
  for (const path of ['/admin/queues', '/admin/queues/', '/admin/queues/api/queues', '/admin/queues/static/none.js']) {
    answered(401, await api.ask(undefined, 'GET', path));
    for (const role of ROLES.filter((one) => one !== 'administrator')) {
      const refused = answered(404, await api.ask(await api.keyOf(role, `pages-${role}`), 'GET', path));
      const absent = await api.ask(await api.keyOf(role, `pages-${role}`), 'GET', '/api/v1/absent');
      expect(refused.json()).toEqual(absent.json());
    }
  }
});

test('nothing can be changed by them', async () => {
  const key = await api.key('administrator');
  const writes = ['pause', 'retry/failed', 'clean/completed', 'promote', 'empty', 'obliterate', 'add'];
  for (const write of writes) {
    const answer = await api.ask(key, 'PUT', `/admin/queues/api/queues/apply/${write}`);
    expect([404, 405]).toContain(answer.statusCode);
  }
  answered(405, await api.ask(key, 'PUT', '/admin/queues/api/queues/apply/pause'));
  answered(405, await api.ask(key, 'POST', '/admin/queues/api/queues/apply/add', {}));
  expect(await api.muster.queues.queue('apply').isPaused()).toBe(false);
});

test('a session opens them, as a browser does', async () => {
  const user = await addUser(api.context, { login: 'ada', role: 'administrator', by: 'test' });
  const { token, session } = await openSession(api.context, user, { method: 'password' });
  const cookie = `muster_session=${token}`;
  answered(200, await api.ask(undefined, 'GET', '/admin/queues/queue/apply', undefined, { cookie }));
  const counts = await api.ask(undefined, 'GET', '/admin/queues/api/queues?activeQueue=apply', undefined, { cookie });
  answered(200, counts);
  const write = '/admin/queues/api/queues/apply/pause';
  expect(counts.json()).toHaveProperty('queues');
  answered(403, await api.ask(undefined, 'PUT', write, undefined, { cookie }));
  answered(405, await api.ask(undefined, 'PUT', write, undefined, { cookie, 'x-csrf-token': session.csrf }));
});
