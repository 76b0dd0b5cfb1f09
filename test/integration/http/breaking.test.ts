import { beforeAll, describe, expect, test } from 'vitest';
import type { ExternalId } from '../../../src/domain/ids.ts';
import { addUser } from '../../../src/store/users.ts';
import { HR } from '../../harness.ts';
import { answered, useApi } from './asking.ts';

/** R29 by ways other than the front door: what an instructor and a reseller can try to learn of what is foreign to them. */
const api = useApi();
const keys = { administrator: '', instructor: '', reseller: '' };
type Outsider = 'instructor' | 'reseller';
const ids: Record<string, string> = {};

const id = (text: string) => text as ExternalId;
const header = 'EmployeeID,Mail,FirstName,LastName,Status,Groups\n';

beforeAll(async () => {
  const { muster } = api;
  await muster.feed(HR);
  await muster.structure({
    courses: ['own-course', 'foreign-course', 'far-course', 'mine'].map((one) => ({ externalId: id(one), name: one })),
    groups: [
      { externalId: id('top'), name: 'top', courses: [id('foreign-course')] },
      { externalId: id('own'), name: 'own', parent: id('top'), courses: [id('own-course')] },
      { externalId: id('below'), name: 'below', parent: id('own') },
      { externalId: id('foreign'), name: 'foreign', parent: id('top'), courses: [id('far-course')] },
    ],
  });
  await muster.import(
    `${header}1,one@example.org,Ann,One,A,own;foreign\n2,two@example.org,Bob,Two,A,foreign\n3,three@example.org,Cas,Three,A,below\n4,four@example.org,Dee,Four,A,below\n`,
  );
  keys.administrator = await api.key('administrator');
  await api.subenvironments('north', 'south');
  for (const [group, edit] of [
    ['own', { instructors: ['ines@example.org'], subenvironments: ['north'] }],
    ['foreign', { instructors: ['other@example.org'], subenvironments: ['south'] }],
  ] as const)
    answered(200, await api.ask(keys.administrator, 'PATCH', `groups/${group}`, edit));
  keys.instructor = await api.keyOf('instructor', 'ines@example.org');
  keys.reseller = await api.keyOf('reseller', 'rik@example.org', ['north']);
  const reseller = { createdBy: 'user:rik@example.org', subenvironment: 'north' };
  await muster.store.courses.updateOne({ externalId: id('mine') }, { $set: reseller });
  for (const group of ['own', 'foreign', 'top']) ids[group] = `id:${await muster.group(group)}`;
  for (const course of ['mine', 'foreign-course']) ids[course] = `id:${await muster.course(course)}`;
  for (const learner of ['1', '2']) ids[learner] = `id:${await muster.learner(learner)}`;
});

/** What can be seen of an answer: everything but the date. */
async function seen(role: Outsider, method: string, path: string, body?: object, headers: Record<string, string> = {}) {
  const answer = await api.ask(keys[role], method, path, body, headers);
  const { date: _, ...rest } = answer.headers;
  return { status: answer.statusCode, body: answer.body, headers: rest };
}

describe('R29: what is foreign is as what is absent', () => {
  test.each([
    ['a foreign group as filter', 'learners?group=', 'foreign', 'absent'],
    ['the group above as filter', 'learners?group=', 'top', 'absent'],
    ['a foreign group as filter, by its number', 'learners?group=', ids.foreign ?? 'id:4', 'id:999999'],
    ['a foreign parent', 'groups?parent=', 'foreign', 'absent'],
    ['a foreign learner', 'learners/', '2', '99'],
    ['a foreign learner by e-mail address', 'learners/', 'two@example.org', 'none@example.org'],
    ['a foreign learner by number', 'learners/', 'id:2', 'id:999999'],
    ['progress of a foreign learner', 'learners/', '2/progress', '99/progress'],
    ['the course of a foreign group', 'courses/', 'far-course', 'absent'],
  ])('to an instructor: %s', async (_, path, foreign, absent) => {
    const one = await seen('instructor', 'GET', path + foreign);
    expect(one).toEqual(await seen('instructor', 'GET', path + absent));
    expect(one.status).toBe(404);
  });

  test('to an instructor: by HEAD, with If-None-Match, or with another method', async () => {
    for (const [method, headers] of [
      ['HEAD', {}],
      ['GET', { 'if-none-match': '*' }],
      ['GET', { range: 'bytes=0-0' }],
      ['PATCH', { 'if-match': '*' }],
      ['DELETE', {}],
      ['OPTIONS', {}],
    ] as const) {
      const body = method === 'PATCH' ? { name: 'x' } : undefined;
      expect(await seen('instructor', method, 'groups/foreign', body, headers)).toEqual(
        await seen('instructor', method, 'groups/absent', body, headers),
      );
    }
  });

  test('to a reseller: own group and foreign course, foreign group and own course, in any order and by any name', async () => {
    for (const [group, courses, absent] of [
      ['own', ['foreign-course'], ['absent']],
      ['own', ['mine', 'foreign-course'], ['mine', 'absent']],
      ['own', [ids['foreign-course']], ['id:999999']],
      ['own', ['own-course'], ['absent']],
    ] as const) {
      const tried = await seen('reseller', 'POST', `groups/${group}/link`, { courses });
      expect(tried).toEqual(await seen('reseller', 'POST', `groups/${group}/link`, { courses: absent }));
      expect(tried.status).toBe(404);
    }
    for (const group of ['foreign', ids.foreign, 'top', 'below']) {
      expect(await seen('reseller', 'POST', `groups/${group}/link`, { courses: ['mine'] })).toEqual(
        await seen('reseller', 'POST', 'groups/absent/link', { courses: ['mine'] }),
      );
    }
    const structure = await api.ask(keys.administrator, 'GET', 'groups/own');
    expect(structure.json<{ courses: object[] }>().courses).toEqual([
      { course: 'foreign-course', inherited: true },
      { course: 'own-course', inherited: false },
    ]);
  });

  test('to a reseller: everything else of the API is not there', async () => {
    const absent = await seen('reseller', 'GET', 'no-such-route');
    for (const [method, path, body] of [
      ['POST', 'groups', { name: 'x' }],
      ['PATCH', 'groups/own', { subenvironments: ['north', 'south'] }],
      ['POST', 'groups/own/unlink', { courses: ['mine'] }],
      ['POST', 'groups/own/add', { learners: ['1'] }],
      ['POST', 'groups/own/preview', { change: 'delete' }],
      ['DELETE', 'groups/own', undefined],
      ['GET', 'groups/own/members', undefined],
      ['GET', 'learners', undefined],
      ['GET', 'learners/1', undefined],
      ['GET', 'courses/mine/subscribers', undefined],
      ['POST', 'courses/mine/grant', { learners: ['1'] }],
      ['GET', 'exports/learners', undefined],
      ['GET', 'runs', undefined],
      ['GET', 'runs/r1/events', undefined],
      ['POST', 'feeds/hr/runs', {}],
      ['GET', 'queue', undefined],
      ['GET', 'users', undefined],
      ['POST', 'keys', { name: 'x', role: 'administrator' }],
    ] as const)
      expect({ path, ...(await seen('reseller', method, path, body)) }).toEqual({ path, ...absent });
  });

  test('to a reseller: a course in a subenvironment of others, or in none, is not made', async () => {
    for (const subenvironment of ['south', 'North', 'north ', 'absent', 'nørth']) {
      const { status } = await seen('reseller', 'POST', 'courses', { name: 'x', subenvironment });
      expect([subenvironment, status]).toEqual([subenvironment, subenvironment === 'north ' ? 201 : 404]);
    }
    expect((await seen('reseller', 'POST', 'courses', { name: 'x' })).status).toBe(409);
    const asAnother = { name: 'x', subenvironment: 'north', createdBy: 'user:other' };
    expect((await seen('reseller', 'POST', 'courses', asAnother)).status).toBe(400);
  });

  test('to a reseller: an External ID that a foreign course has is refused in the words for one that cannot be', async () => {
    const course = { name: 'x', subenvironment: 'north' };
    const taken = await seen('reseller', 'POST', 'courses', { ...course, externalId: 'foreign-course' });
    expect(taken).toEqual(await seen('reseller', 'POST', 'courses', { ...course, externalId: 'id:7' }));
    expect(taken.body).not.toContain('exists');
  });

  test('a tag that is guessed tells nobody how often a group was changed', async () => {
    const stored = await api.ask(keys.administrator, 'GET', 'groups/own');
    const right = String(stored.headers.etag);
    const link = (tag: string) =>
      seen('reseller', 'POST', 'groups/own/link', { courses: ['mine'] }, { 'if-match': tag });
    expect(await link(right)).toEqual(await link('"g1-99"'));
    expect((await link(right)).status).toBe(412);
    expect((await link('')).status).toBe(412);
  });
});

describe('R29: lists', () => {
  test('a cursor that an administrator was given leads an outsider to nothing but his own', async () => {
    for (const list of ['learners', 'groups', 'courses']) {
      let cursor: string | null = '';
      while (cursor !== null) {
        const from: string = cursor === '' ? '' : `&cursor=${cursor}`;
        for (const role of ['instructor', 'reseller'] as const) {
          if (role === 'reseller' && list === 'learners') continue;
          const { items } = (await api.ask(keys[role], 'GET', `${list}?limit=1${from}`)).json<{ items: object[] }>();
          expect(JSON.stringify(items)).not.toMatch(/far-course|"foreign"|"top"|two@example/);
        }
        ({ next: cursor } = (await api.ask(keys.administrator, 'GET', `${list}?limit=1${from}`)).json<{
          next: string | null;
        }>());
      }
    }
  });

  test('pages do not have gaps, nor ends that come late, where something foreign lies between', async () => {
    const sizes: number[] = [];
    for (let cursor: string | null = ''; cursor !== null; ) {
      const from: string = cursor === '' ? '' : `&cursor=${cursor}`;
      const page = await api.ask(keys.instructor, 'GET', `learners?limit=1${from}`);
      const { items, next } = page.json<{ items: object[]; next: string | null }>();
      sizes.push(items.length);
      cursor = next;
    }
    expect(sizes).toEqual([1, 1, 1]);
  });

  test.each(['two@example.org', 'Bob', 'Two', '2'])('a search for %s, who is foreign, finds nobody', async (text) => {
    const found = await seen('instructor', 'GET', `learners?search=${encodeURIComponent(text)}`);
    expect(JSON.parse(found.body)).toEqual({ items: [], next: null });
  });
});

describe('an Idempotency-Key', () => {
  const write = (key: string, body: object) =>
    api.ask(key, 'POST', 'courses', body, { 'idempotency-key': 'the same for all' });

  test('of another does not give that one his answer', async () => {
    const body = { name: 'Made once', subenvironment: 'north' };
    const theirs = answered(201, await write(keys.administrator, body));
    const mine = answered(201, await write(keys.reseller, body));
    expect(mine.json<{ id: string }>().id).not.toBe(theirs.json<{ id: string }>().id);
    expect(mine.headers['idempotency-replayed']).toBeUndefined();
  });

  test('gives no answer again that was given to a higher role', async () => {
    await addUser(api.context, { login: 'root', role: 'administrator', by: 'test' });
    const key = await api.keyOf('administrator', 'carla');
    const link = () =>
      api.ask(key, 'POST', 'groups/own/link', { courses: ['mine'] }, { 'idempotency-key': 'as administrator' });
    expect(answered(200, await link()).json()).toHaveProperty('subscriptions');
    const down = { role: 'reseller', subenvironments: ['north'] };
    answered(200, await api.ask(keys.administrator, 'PATCH', 'users/carla', down));
    expect(answered(422, await link()).body).not.toContain('subscriptions');
  });
});

describe('R12: who holds an e-mail address', () => {
  test('is told to those who may see everybody, and to nobody else', async () => {
    const taken = { externalId: '9', email: 'two@example.org' };
    expect(answered(409, await api.ask(keys.administrator, 'POST', 'learners', taken)).body).toContain('2');
    for (const role of ['instructor', 'reseller'] as const) {
      for (const [method, path] of [
        ['POST', 'learners'],
        ['PATCH', 'learners/1'],
      ] as const) {
        const answer = await seen(role, method, path, taken);
        expect(answer.status).toBe(404);
        expect(answer).toEqual(await seen(role, method, path, { ...taken, email: 'nobody@example.org' }));
      }
    }
  });
});
