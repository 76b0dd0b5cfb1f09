import type { InjectOptions } from 'fastify';
import { beforeAll, describe, expect, test } from 'vitest';
import type { ExternalId, RunId } from '../../../src/domain/ids.ts';
import { ROLES, type Role } from '../../../src/domain/role.ts';
import { readReport } from '../../../src/settings/report.ts';
import { addKey } from '../../../src/store/keys.ts';
import { addUser } from '../../../src/store/users.ts';
import { HR } from '../../harness.ts';
import { answered, useApi } from './asking.ts';

/**
 * R29: every route × every role × own, foreign and absent object. The routes are those of the OpenAPI document, so a
 * new one is in the matrix, and fails it until it says here who may use it and with what it is asked.
 */
const api = useApi();
const keys = {} as Record<Role, string>;

const VARIANTS = ['own', 'foreign', 'absent'] as const;
type Variant = (typeof VARIANTS)[number];

interface Route {
  readonly method: string;
  readonly path: string;
}

/** Who may use a route, by the table of the domain rules. */
function mayUse(role: Role, { method, path }: Route): boolean {
  const noun = path.split('/')[0] as string;
  const reads = method === 'GET';
  const uses: Record<Role, () => boolean> = {
    administrator: () => true,
    operator: () =>
      ['feeds', 'runs', 'queue', 'reports'].includes(noun) ||
      (reads && ['groups', 'learners', 'courses', 'exports'].includes(noun) && !/erase|learner}.export/.test(path)),
    instructor: () =>
      noun === 'reports' ||
      (reads && ['groups', 'learners', 'courses'].includes(noun) && !/subscribers|history|why|erase|export/.test(path)),
    reseller: () =>
      (reads && ['groups', 'groups/{group}', 'courses', 'courses/{course}'].includes(path)) ||
      (method === 'POST' && ['courses', 'groups/{group}/link'].includes(path)),
  };
  return uses[role]();
}

/** A run that can neither be applied nor turned back. */
let previewed = '';

/** Names of the objects of each kind; feeds, runs, users and keys are never foreign to those who see them. */
const names: Record<string, (variant: Variant) => string> = {
  group: (variant) => `${variant}-group`,
  learner: (variant) => `${variant}-learner`,
  course: (variant) => `${variant}-course`,
  feed: (variant) => (variant === 'absent' ? 'absent-feed' : 'hr'),
  run: (variant) => (variant === 'absent' ? 'r999999' : previewed),
  report: (variant) => REPORTS[variant],
  user: (variant) => (variant === 'absent' ? 'absent-user' : 'spare'),
  key: (variant) => (variant === 'absent' ? 'absent-key' : 'spare'),
  item: (variant) => `${variant === 'absent' ? 'absent' : 'own'}-item`,
  subenvironment: (variant) => `sub-${variant}`,
  kind: () => 'learners',
};
const REPORTS: Record<Variant, string> = { own: 'pown', foreign: 'pforeign', absent: 'pabsent' };
const aboutGroup = (variant: Variant) => ({
  name: `About ${variant}`,
  what: 'learners',
  filter: { groups: [group(variant)] },
});
const course = (variant: Variant) => `${variant}-course`;
const group = (variant: Variant) => `${variant}-group`;

/** What a write is asked with. */
function bodyOf({ method, path }: Route, variant: Variant): InjectOptions['payload'] {
  const bodies: Record<string, object> = {
    'POST feeds/check': { text: HR },
    'PUT feeds/{feed}': { text: HR.replace('name: hr', `name: ${names.feed?.(variant)}`) },
    'POST queue/retry': { ids: [names.item?.(variant)] },
    'POST queue/discard': { ids: [names.item?.(variant)], reason: 'test' },
    'POST groups': { name: 'Made', parent: group(variant) },
    'PATCH groups/{group}': { name: 'Renamed' },
    'POST groups/{group}/move': { parent: null },
    'POST groups/{group}/add': { learners: ['own-learner'] },
    'POST groups/{group}/remove': { learners: ['own-learner'] },
    'POST groups/{group}/link': { courses: [course(variant)] },
    'POST groups/{group}/unlink': { courses: [course(variant)], removal: 'keep' },
    'POST groups/{group}/preview': { change: 'delete' },
    'POST groups/import': { groups: [{ externalId: `imported-${variant}`, name: 'Imported', parent: group(variant) }] },
    'POST learners/import': { learners: [{ externalId: `imported-${variant}` }] },
    'POST learners/unerase': { externalId: `${variant}-learner` },
    'POST subenvironments': { name: `made-${variant}` },
    'POST subenvironments/{subenvironment}/link': { groups: ['own-group'] },
    'POST subenvironments/{subenvironment}/unlink': { groups: ['own-group'] },
    'POST subenvironments/{subenvironment}/allow': { users: ['rik@example.org'] },
    'POST subenvironments/{subenvironment}/deny': { users: ['rik@example.org'] },
    'POST learners': { externalId: `made-${variant}` },
    'PATCH learners/{learner}': { firstName: 'Renamed' },
    'POST learners/{learner}/move': { from: group(variant), to: 'second-own-group' },
    'POST learners/{learner}/progress': { course: course(variant), completion: 10 },
    'POST courses': { name: 'Made', subenvironment: `sub-${variant}` },
    'POST courses/{course}/grant': { learners: ['own-learner'] },
    'POST courses/{course}/revoke': { learners: ['own-learner'] },
    'POST courses/{course}/preview': { learners: ['own-learner'] },
    'POST reports': aboutGroup(variant),
    'POST reports/preview': aboutGroup(variant),
    'PUT reports/{report}': aboutGroup('own'),
    'POST users': { login: `made-${variant}`, role: 'operator' },
    'PATCH users/{user}': { name: 'Renamed' },
    'POST keys': { name: `made-${variant}`, role: 'operator' },
    'PATCH keys/{key}': { scopes: ['read'] },
  };
  return bodies[`${method} ${path}`];
}

function routes(): Route[] {
  const { paths = {} } = api.app.swagger() as { paths?: Record<string, Record<string, unknown>> };
  return Object.entries(paths)
    .flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => ({ method: method.toUpperCase(), path: path.replace('/api/v1/', '') })),
    )
    .filter(({ path, method }) => !/^(session|password)\b/.test(path) && method !== 'HEAD');
}

/** What a retry or discard took away is there again. */
async function setAside(): Promise<void> {
  await api.muster.store.setAside.updateOne(
    { _id: 'own-item' },
    {
      $setOnInsert: {
        run: 'r3' as RunId,
        batch: 1_000_001,
        feed: 'hr',
        job: 'apply',
        learner: await api.muster.learner('own-learner'),
        groups: [],
        error: { code: 'test', message: 'test' },
        tries: [],
        retryAt: null,
        createdAt: api.muster.clock.now(),
      },
    },
    { upsert: true },
  );
}

/** What a DELETE took away is there again: a report of the instructor, and one that is shared with nobody. */
async function saveReports(): Promise<void> {
  for (const [_id, owner] of [
    [REPORTS.own, 'user:ines@example.org'],
    [REPORTS.foreign, 'user:foreign@example.org'],
  ] as const) {
    const at = api.muster.clock.now();
    await api.muster.store.reports.updateOne(
      { _id },
      {
        $setOnInsert: {
          name: `Of ${owner}`,
          owner,
          origin: 'database',
          settings: readReport({
            name: `Of ${owner}`,
            what: 'subscriptions',
            columns: ['learner', 'groups', 'course'],
          }),
          revision: 1,
          changedAt: at,
          changedBy: owner,
        },
      },
      { upsert: true },
    );
  }
}

async function ask(key: string | undefined, route: Route, variant: Variant) {
  if (route.path.startsWith('queue')) await setAside();
  if (route.path.startsWith('reports')) await saveReports();
  const path = route.path.replace(
    /\{(\w+)\}/g,
    (_, name: string) => names[name]?.(variant) ?? `no-such-parameter-${name}`,
  );
  return api.ask(key, route.method, path, bodyOf(route, variant));
}

const same = ({ statusCode, body, headers }: Awaited<ReturnType<typeof ask>>) => ({
  statusCode,
  body,
  type: headers['content-type'],
  etag: headers.etag,
});

beforeAll(async () => {
  const { muster, context } = api;
  const id = (text: string) => text as ExternalId;
  await muster.feed(HR);
  await muster.structure({
    courses: ['own-course', 'foreign-course', 'instructed-course'].map((one) => ({ externalId: id(one), name: one })),
    groups: [
      { externalId: id('foreign-top'), name: 'foreign top', courses: [id('foreign-course')] },
      { externalId: id('foreign-group'), name: 'foreign', parent: id('foreign-top') },
      { externalId: id('own-group'), name: 'own', courses: [id('own-course'), id('instructed-course')] },
      { externalId: id('second-own-group'), name: 'second', parent: id('own-group') },
    ],
  });
  const header = 'EmployeeID,Mail,FirstName,LastName,Status,Groups\n';
  await muster.import(
    `${header}own-learner,,,,A,own-group;foreign-group\nforeign-learner,foreign@example.org,,,A,foreign-group\n`,
  );
  await muster.import(`${header}own-learner,,,,A,own-group;foreign-group\n`);
  previewed = (await muster.import(`${header}own-learner,,,,A,own-group\n`, { preview: true })).run;
  const admin = await api.key('administrator');
  await api.subenvironments('sub-own', 'sub-foreign');
  for (const [group, edit] of [
    ['own-group', { instructors: ['Ines@example.org'], subenvironments: ['sub-own'] }],
    ['second-own-group', { subenvironments: ['sub-own', 'sub-foreign'] }],
    ['foreign-group', { instructors: ['foreign@example.org'], subenvironments: ['sub-foreign'] }],
  ] as const) {
    answered(200, await api.ask(admin, 'PATCH', `groups/${group}`, edit));
  }
  keys.administrator = admin;
  keys.operator = await api.key('operator');
  keys.instructor = await api.keyOf('instructor', 'ines@example.org');
  keys.reseller = await api.keyOf('reseller', 'rik@example.org', ['sub-own']);
  await muster.store.courses.updateOne(
    { externalId: id('own-course') },
    { $set: { createdBy: 'user:rik@example.org', subenvironment: 'sub-own' } },
  );
  await addUser(context, { login: 'spare', role: 'operator', by: 'test' });
  await addKey(context, { name: 'spare', role: 'operator', scopes: ['read'], by: 'test' });
});

describe('R29: without log-in', () => {
  test('every route answers 401, whatever it is asked for', async () => {
    for (const route of routes()) {
      const answers = await Promise.all(VARIANTS.map((variant) => ask(undefined, route, variant)));
      expect([route, ...answers.map(({ statusCode }) => statusCode)]).toEqual([route, 401, 401, 401]);
      expect(new Set(answers.map(({ body }) => body)).size).toBe(1);
    }
  });
});

const SEES_ALL: ReadonlySet<Role> = new Set(['administrator', 'operator']);

describe.each(ROLES.filter((role) => role !== 'administrator'))('R29: for a key of role %s', (role) => {
  test('a route that the role may not use does not exist', async () => {
    const absent = same(await api.ask(keys[role], 'GET', 'no-such-route'));
    expect(absent.statusCode).toBe(404);
    for (const route of routes().filter((route) => !mayUse(role, route))) {
      for (const variant of VARIANTS)
        expect({ route, ...same(await ask(keys[role], route, variant)) }).toEqual({ route, ...absent });
    }
  });

  test('foreign and absent objects look the same, to the last byte, and are named nowhere', async () => {
    // To an operator nothing is foreign.
    for (const route of SEES_ALL.has(role) ? [] : routes().filter((route) => mayUse(role, route))) {
      const [foreign, absent] = [await ask(keys[role], route, 'foreign'), await ask(keys[role], route, 'absent')];
      expect({ route, ...same(foreign) }).toEqual({ route, ...same(absent) });
      expect(foreign.body).not.toContain('foreign');
    }
  });

  test('own objects are there, without a word of what is not seen', async () => {
    for (const route of routes().filter((route) => mayUse(role, route))) {
      const own = await ask(keys[role], route, 'own');
      expect({ route, found: ![401, 403, 404, 500].includes(own.statusCode), body: own.body }).toEqual({
        route,
        found: true,
        body: own.body,
      });
      expect(role !== 'operator' && own.body.includes('foreign')).toBe(false);
    }
  });
});

describe('R29: lists and counts', () => {
  test.each(['instructor', 'reseller'] as const)(
    'what a %s reads is the same bytes, whatever else there is',
    async (role) => {
      const reads = routes().filter((route) => route.method === 'GET' && mayUse(role, route));
      const readAll = async () =>
        Promise.all(reads.map(async (route) => ({ route, ...same(await ask(keys[role], route, 'own')) })));
      const before = await readAll();
      const { administrator } = keys;
      answered(
        201,
        await api.ask(administrator, 'POST', 'groups', {
          name: 'foreign more',
          externalId: `foreign-more-${role}`,
          parent: 'foreign-top',
        }),
      );
      answered(201, await api.ask(administrator, 'POST', 'learners', { externalId: `foreign-more-${role}` }));
      answered(
        200,
        await api.ask(administrator, 'POST', `groups/foreign-more-${role}/add`, {
          learners: [`foreign-more-${role}`, 'own-learner'],
        }),
      );
      answered(
        201,
        await api.ask(administrator, 'POST', 'courses', {
          name: 'foreign',
          externalId: `foreign-more-${role}`,
          subenvironment: 'sub-own',
        }),
      );
      answered(
        200,
        await api.ask(administrator, 'POST', `groups/foreign-more-${role}/link`, { courses: [`foreign-more-${role}`] }),
      );
      const about = { what: 'learners', sharedWith: ['operator'] };
      answered(201, await api.ask(administrator, 'POST', 'reports', { name: `Foreign more ${role}`, ...about }));
      expect(await readAll()).toEqual(before);
    },
  );

  test('an instructor sees learners and progress of his groups, and of no others', async () => {
    const { items } = answered(200, await api.ask(keys.instructor, 'GET', 'learners')).json<{ items: object[] }>();
    expect(items).toMatchObject([{ externalId: 'own-learner', groups: ['own-group'] }]);
    const learner = answered(200, await api.ask(keys.instructor, 'GET', 'learners/own-learner')).json<{
      subscriptions: { course: string }[];
    }>();
    expect(learner.subscriptions.map(({ course }) => course)).toEqual(['instructed-course', 'own-course']);
  });

  test('a reseller creates a course in his subenvironment, links it, and sees no learner', async () => {
    const made = answered(
      201,
      await api.ask(keys.reseller, 'POST', 'courses', {
        name: 'Own new',
        externalId: 'new-course',
        subenvironment: 'sub-own',
      }),
    );
    expect(made.json()).toMatchObject({ externalId: 'new-course', subscriptions: null });
    expect(
      answered(204, await api.ask(keys.reseller, 'POST', 'groups/own-group/link', { courses: ['new-course'] })).body,
    ).toBe('');
    answered(404, await api.ask(keys.reseller, 'POST', 'groups/own-group/link', { courses: ['instructed-course'] }));
    answered(404, await api.ask(keys.reseller, 'POST', 'courses', { name: 'x', subenvironment: 'sub-foreign' }));
    expect(answered(200, await api.ask(keys.reseller, 'GET', 'groups/own-group')).json()).toMatchObject({
      members: null,
      instructors: [],
    });
    expect(await api.muster.subscriptions('own-learner')).toContain('new-course: active');
  });
});

describe('R29: for an administrator', () => {
  test('what is absent is not found, and what is there is found, on every route', async () => {
    const takesNone = new Set([
      'GET feeds',
      'PUT feeds/{feed}',
      'POST feeds/check',
      'GET runs',
      'GET queue',
      'GET groups',
      'GET learners',
      'POST groups/import',
      'POST learners/import',
      'GET subenvironments',
      'POST subenvironments',
      'GET checks/digest',
      'POST checks/verify',
      'GET checks/doctor',
      'POST learners',
      'GET courses',
      'POST courses',
      'GET reports',
      'GET reports/columns',
      'GET exports/{kind}',
      'GET users',
      'POST users',
      'GET keys',
      'POST keys',
    ]);
    for (const route of routes().filter(({ method, path }) => !takesNone.has(`${method} ${path}`))) {
      expect([route, (await ask(keys.administrator, route, 'absent')).statusCode]).toEqual([route, 404]);
    }
    const last = ({ method, path }: Route) =>
      path === 'learners/unerase' ? 3 : path.endsWith('/erase') ? 2 : method === 'DELETE' ? 1 : 0;
    for (const route of routes().sort((a, b) => last(a) - last(b))) {
      const { statusCode, body } = await ask(keys.administrator, route, 'own');
      const found = statusCode < 500 && ![401, 403, 404].includes(statusCode);
      expect({ route, found, body }).toEqual({ route, found: true, body });
    }
  });
});
