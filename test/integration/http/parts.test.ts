import { beforeAll, describe, expect, test, vi } from 'vitest';
import { verify } from '../../../src/run/verify.ts';
import { COMPANY, HR } from '../../harness.ts';
import { answered, useApi } from './asking.ts';

/** What the API has beside the commands of the same names: erasure and export, checks, many at once, as of a date. */
const api = useApi();
let admin = '';
const ask = (method: string, path: string, body?: object) => api.ask(admin, method, path, body);
const HEADER = 'EmployeeID,Mail,FirstName,LastName,Status,Groups\n';
const STAFF = `${HEADER}001,p1@x.org,Ann,Arbor,A,sector-a\n002,p2@x.org,Bob,Berg,A,sector-b\n`;

beforeAll(async () => {
  const { muster } = api;
  await muster.structure(COMPANY);
  await muster.feed(HR);
  await muster.import(STAFF);
  admin = await api.key('administrator');
});

/** Something that happens between the checks of a request and its change: when it takes the next number of a kind. */
function meanwhile(kind: 'groups' | 'learners', happens: () => Promise<unknown>): void {
  const { meta } = api.muster.store;
  const findOneAndUpdate = meta.findOneAndUpdate.bind(meta);
  const spy = vi
    .spyOn(meta, 'findOneAndUpdate')
    .mockImplementation(async (...asked: Parameters<typeof findOneAndUpdate>) => {
      if (asked[0]._id === kind) {
        spy.mockRestore();
        await happens();
      }
      return findOneAndUpdate(...asked);
    });
}

describe('as of a date', () => {
  test('a learner and the members of a group, as they were', async () => {
    const before = api.muster.clock.now().toISOString();
    api.muster.clock.forward(86_400_000);
    answered(200, await ask('POST', 'groups/sector-a/remove', { learners: ['001'], removal: 'expire' }));
    answered(200, await ask('PATCH', 'learners/001', { lastName: 'Berg' }));
    const then = answered(200, await ask('GET', `learners/001?at=${before}`)).json();
    expect(then).toMatchObject({ lastName: 'Arbor', memberships: [{ group: 'sector-a' }] });
    const members = async (query: string) =>
      answered(200, await ask('GET', `groups/all/members?effective=true${query}`))
        .json<{ items: { externalId: string }[] }>()
        .items.map(({ externalId }) => externalId);
    expect(await members(`&at=${before}`)).toEqual(['001', '002']);
    expect(await members('')).toEqual(['002']);
    answered(400, await ask('GET', 'learners/001?at=yesterday'));
    answered(404, await ask('GET', 'learners/001?at=2020-01-01'));
  });
});

describe('checks', () => {
  test('digest, and verify as lines of which the last is the result', async () => {
    expect(answered(200, await ask('GET', 'checks/digest')).json()).toEqual({
      digest: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    await api.muster.store.subscriptions.updateOne(
      { _id: await api.muster.learner('002') },
      { $set: { 'items.0.status': 'expired' } },
    );
    const verified = async (query = '') => {
      const lines = answered(200, await ask('POST', `checks/verify${query}`))
        .body.trim()
        .split('\n');
      return (JSON.parse(lines.at(-1) as string) as { result: Record<string, unknown> }).result;
    };
    expect(await verified()).toMatchObject({
      learners: 2,
      differences: 1,
      drift: [{ learner: '002', found: 'expired' }],
    });
    expect(await verified('?repair=true')).toMatchObject({ differences: 1, repaired: 1 });
    expect(await verified()).toMatchObject({ differences: 0, audit: { breaks: [] } });
  });

  test('one that reads everything at a time', async () => {
    const answers = await Promise.all([ask('GET', 'checks/digest'), ask('GET', 'checks/digest')]);
    expect(answers.map(({ statusCode }) => statusCode).sort((a, b) => a - b)).toEqual([200, 409]);
  });
});

describe('many at once', () => {
  test('groups and learners, with what became of each', async () => {
    const groups = [
      { externalId: 'inner', name: 'Inner', parent: 'outer', courses: ['sales'] },
      { externalId: 'outer', name: 'Outer' },
      { externalId: 'all', name: 'All' },
    ];
    expect(answered(200, await ask('POST', 'groups/import', { groups })).json()).toEqual({
      lines: [
        { name: 'inner', outcome: 'created' },
        { name: 'outer', outcome: 'created' },
        { name: 'all', outcome: 'already' },
      ],
    });
    const learners = [{ externalId: '700', email: 'new@x.org' }, { externalId: '001' }];
    expect(answered(200, await ask('POST', 'learners/import', { learners })).json()).toMatchObject({
      lines: [{ outcome: 'created' }, { outcome: 'already' }],
    });
  });

  test('two imports of the same groups at once make each once, and say who made it', async () => {
    for (let round = 0; round < 5; round += 1) {
      const groups = [`both-${round}`, `under-${round}`].map((externalId, at) => ({
        externalId,
        name: 'Both',
        ...(at > 0 && { parent: `both-${round}` }),
      }));
      const answers = await Promise.all([1, 2, 3].map(() => ask('POST', 'groups/import', { groups })));
      const outcomes = answers.map((answer) =>
        answered(200, answer)
          .json<{ lines: { outcome: string }[] }>()
          .lines.map(({ outcome }) => outcome),
      );
      for (const at of [0, 1]) {
        const count = (outcome: string) => outcomes.filter((one) => one[at] === outcome).length;
        expect([count('created'), count('already')]).toEqual([1, 2]);
      }
      expect(await api.muster.store.groups.countDocuments({ externalId: `both-${round}` as never })).toBe(1);
    }
  });

  test('groups lie below one that another import makes at the same time, and below none that goes', async () => {
    const outer = { externalId: 'meant', name: 'Meant' };
    const groups = [outer, { externalId: 'within', name: 'Within', parent: 'meant' }];
    meanwhile('groups', () => ask('POST', 'groups/import', { groups: [outer] }));
    expect(answered(200, await ask('POST', 'groups/import', { groups })).json()).toEqual({
      lines: [
        { name: 'meant', outcome: 'already' },
        { name: 'within', outcome: 'created' },
      ],
    });
    expect(answered(200, await ask('GET', 'groups/within')).json()).toMatchObject({ parent: 'meant' });
    answered(201, await ask('POST', 'groups', { name: 'Going', externalId: 'going' }));
    meanwhile('groups', () => ask('DELETE', 'groups/going'));
    const below = [{ externalId: 'below', name: 'Below', parent: 'going' }];
    expect(answered(404, await ask('POST', 'groups/import', { groups: below })).body).toContain('going');
    answered(404, await ask('GET', 'groups/below'));
  });

  test('R27: a learner whose address somebody else got meanwhile is said to be set aside, not created', async () => {
    const taken = { email: 'taken@x.org' };
    meanwhile('learners', async () => answered(201, await ask('POST', 'learners', { externalId: 'first', ...taken })));
    const learners = [{ externalId: '001' }, { externalId: 'second', ...taken }, { externalId: 'third' }];
    expect(answered(200, await ask('POST', 'learners/import', { learners })).json()).toEqual({
      lines: [
        { name: '001', outcome: 'already' },
        { name: 'second', outcome: 'set aside: `muster queue list`' },
        { name: 'third', outcome: 'created' },
      ],
    });
    const { items } = answered(200, await ask('GET', 'queue')).json<{ items: { id: string; code: string }[] }>();
    expect(items).toHaveLength(1);
    answered(404, await ask('GET', 'learners/second'));
    answered(200, await ask('GET', 'learners/third'));
  });

  test('R12: External IDs that no feed could name are not made, one by one or many', async () => {
    for (const externalId of ['id:5', 'a\u0000b', 'a\nb', 'a\u2028b']) {
      const outcome = expect.stringMatching(/cannot be one|no control character/);
      for (const [path, body] of [
        ['groups', { name: 'x', externalId }],
        ['courses', { name: 'x', externalId }],
        ['learners', { externalId }],
      ] as const)
        answered(409, await ask('POST', path, body));
      answered(409, await ask('PATCH', 'learners/001', { externalId }));
      answered(409, await ask('PATCH', 'groups/lone', { externalId }));
      const groups = [{ externalId, name: 'x' }];
      expect(answered(200, await ask('POST', 'groups/import', { groups })).json()).toEqual({
        lines: [{ name: externalId, outcome }],
      });
      expect(answered(200, await ask('POST', 'learners/import', { learners: [{ externalId }] })).json()).toEqual({
        lines: [{ name: externalId, outcome }],
      });
    }
  });
});

describe('privacy', () => {
  test('an answer that is given again under its Idempotency-Key says that the person was erased', async () => {
    const add = () =>
      api.ask(admin, 'POST', 'learners', { externalId: '800', email: 'gone@x.org' }, { 'idempotency-key': 'gone' });
    answered(201, await add());
    answered(200, await ask('POST', 'learners/800/erase', { reason: 'asked for' }));
    const again = answered(410, await add());
    expect(again.headers['content-type']).toContain('application/problem+json');
    expect(again.json()).toMatchObject({ type: 'urn:muster:erased', status: 410 });
    expect(again.body).not.toMatch(/gone@|800/);
  });

  test('all that is held, what would go, the erasure, and its end', async () => {
    expect(answered(200, await ask('GET', 'learners/002/export')).json()).toMatchObject({
      learner: { externalId: '002' },
      names: { emails: ['p2@x.org'] },
      history: [{ created: true }, { step: 'subscribe' }, { step: 'expire', why: 'verify --repair' }],
    });
    expect(answered(200, await ask('GET', 'learners/002/erase')).json()).toMatchObject({
      memberships: 1,
      subscriptions: 3,
    });
    answered(409, await ask('POST', 'learners/002/erase', { reason: 'Bob Berg asked' }));
    expect(answered(200, await ask('POST', 'learners/002/erase', { reason: 'asked for' })).json()).toMatchObject({
      waitsFor: [],
    });
    answered(404, await ask('GET', 'learners/002'));
    answered(409, await ask('POST', 'learners', { externalId: '002' }));
    answered(200, await ask('POST', 'learners/unerase', { externalId: '002' }));
    answered(404, await ask('POST', 'learners/unerase', { externalId: '002' }));
    answered(201, await ask('POST', 'learners', { externalId: '002' }));
  });
});

describe('If-Match', () => {
  const tagOf = async (path: string) => String(answered(200, await ask('GET', path)).headers.etag);
  const both = async (method: string, path: string, bodies: readonly object[]) => {
    const tag = await tagOf(path);
    const answers = await Promise.all(bodies.map((body) => api.ask(admin, method, path, body, { 'if-match': tag })));
    return answers.map(({ statusCode }) => statusCode).sort((a, b) => a - b);
  };

  test('of two changes of a learner, a user or a feed that stand on the same reading, one alone is made', async () => {
    expect(await both('PATCH', 'learners/001', [{ firstName: 'A' }, { firstName: 'B' }])).toEqual([200, 412]);
    answered(201, await ask('POST', 'users', { login: 'rik@x.org', role: 'reseller' }));
    expect(await both('PATCH', 'users/rik@x.org', [{ name: 'A' }, { name: 'B' }])).toEqual([200, 412]);
    const texts = [30, 40].map((days) => ({ text: `${HR}leaver: { graceDays: ${days} }\n` }));
    expect(await both('PUT', 'feeds/hr', texts)).toEqual([200, 412]);
    expect(await both('PATCH', 'groups/lone', [{ name: 'A' }, { name: 'B' }])).toEqual([200, 412]);
  });

  test('a group is deleted though learners join it at the same time', async () => {
    for (let round = 0; round < 3; round += 1) {
      answered(201, await ask('POST', 'groups', { name: 'Busy', externalId: 'busy' }));
      const joins = Array.from({ length: 6 }, () => ask('POST', 'groups/busy/add', { learners: ['001', '002'] }));
      const [deleted] = await Promise.all([ask('DELETE', 'groups/busy'), ...joins]);
      answered(200, deleted);
      answered(404, await ask('GET', 'groups/busy'));
    }
    expect((await verify(api.context, { repair: false })).drift).toEqual([]);
  });

  test('of a deletion of a group and edits that stand on the same reading, one alone is made', async () => {
    for (let round = 0; round < 5; round += 1) {
      answered(201, await ask('POST', 'groups', { name: 'Short', externalId: `short-${round}` }));
      const path = `groups/short-${round}`;
      const tag = await tagOf(path);
      const answers = await Promise.all(
        ['DELETE', 'PATCH', 'DELETE', 'PATCH'].map((method) =>
          api.ask(admin, method, path, method === 'PATCH' ? { name: 'Edited' } : undefined, { 'if-match': tag }),
        ),
      );
      expect(answers.filter(({ statusCode }) => statusCode === 200)).toHaveLength(1);
      for (const { statusCode } of answers) expect([200, 404, 412]).toContain(statusCode);
    }
  });
});
