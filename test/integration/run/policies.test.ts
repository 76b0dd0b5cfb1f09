import { beforeAll, describe, expect, test } from 'vitest';
import type { ExternalId } from '../../../src/domain/ids.ts';
import { addLearner, addMembers, removeMembers } from '../../../src/run/memberships.ts';
import { settleDueWindows } from '../../../src/run/windows.ts';
import { COMPANY, useMuster } from '../../harness.ts';

const muster = useMuster();
const by = 'tester';
const DAY = 86_400_000;

const OFF = `guard: { rowsPercent: off, membershipsLostPercent: off, membershipsRemovedPercent: off, deactivatedPercent: off,
  removed24hPercent: off, removed7dPercent: off, rejectedPercent: off, purged: off }`;

function feed(name: string, more = ''): string {
  return `name: ${name}
learner: { externalId: ID, email: { column: Mail, optional: true }, lastName: { column: Last, optional: true } }
groups: [{ column: Groups, separator: ";" }]
${OFF}
${more}`;
}

beforeAll(() => muster.structure(COMPANY));

describe('delta feeds', () => {
  test('R13: rows add and remove; what is absent is not touched', async () => {
    await muster.feed(feed('delta', 'mode: delta\naction: { column: Do }'));
    await muster.import('ID,Do,Groups\nd1,add,sector-a\nd2,add,sector-a\n', { feed: 'delta' });
    const report = await muster.import('ID,Do,Groups\nd1,remove,sector-a\nd1,add,sector-b\n', { feed: 'delta' });
    expect(report).toMatchObject({ state: 'completed', memberships: { added: 1, removed: 1 } });
    expect(await muster.memberships('d1')).toEqual(['sector-b: delta']);
    expect(await muster.subscriptions('d1')).toEqual(['safety: active', 'sales: active', 'welcome: active']);
    expect(await muster.memberships('d2')).toEqual(['sector-a: delta']);
  });

  test('R13 R15: a row that would take what a rejected row protects is given back, and done when both come again', async () => {
    await muster.feed(feed('given', 'mode: delta\naction: { column: Do }'));
    const delta = (...rows: string[]) => muster.import(`ID,Do,Groups\n${rows.join('\n')}\n`, { feed: 'given' });
    await delta('q1,add,sector-a', 'q2,add,sector-a', 'q3,add,sector-b');
    const report = await delta('q1,remove,sector-a', 'q3,remove,sector-b', 'q2,add,sector-a;nowhere');
    expect(report).toMatchObject({ rows: { read: 3, rejected: 2 }, memberships: { removed: 1 } });
    expect(report.problems.map(({ code, row }) => [code, row])).toEqual([
      ['protected', 2],
      ['unknown-group', 4],
    ]);
    expect(await muster.memberships('q1')).toEqual(['sector-a: given']);
    expect(await muster.memberships('q3')).toEqual([]);
    await delta('q1,remove,sector-a', 'q2,add,sector-b');
    expect(await muster.memberships('q1')).toEqual([]);
  });

  test('R13 R20: who is to go does so when a delta feed says it, so days of grace are refused', async () => {
    const graced = feed('graced', 'mode: delta\naction: { column: Do }\nleaver: { graceDays: 3 }');
    await expect(muster.feed(graced)).rejects.toThrow(/leaver\.graceDays is of use only with mode: full/);
  });

  test('R17: the same delta again changes nothing', async () => {
    const report = await muster.import('ID,Do,Groups\nd1,remove,sector-a\nd1,add,sector-b\n', { feed: 'delta' });
    expect(report).toMatchObject({ state: 'completed', noChange: true });
  });
});

describe('several holders of one membership', () => {
  test('R14: a feed removes only what it holds itself', async () => {
    await muster.feed(feed('one'));
    await muster.feed(feed('two'));
    await muster.import('ID,Groups\ns1,sector-a\ns2,sector-a\n', { feed: 'one' });
    await muster.import('ID,Groups\ns1,sector-a;sector-b\n', { feed: 'two' });
    await addMembers(muster.context, {
      group: await muster.group('sector-a'),
      learners: [await muster.learner('s2')],
      by,
    });
    expect(await muster.memberships('s1')).toEqual(['sector-a: one+two', 'sector-b: two']);
    await muster.import('ID,Groups\nother,lone\n', { feed: 'one' });
    expect(await muster.memberships('s1')).toEqual(['sector-a: two', 'sector-b: two']);
    expect(await muster.memberships('s2')).toEqual(['sector-a: manual']);
    expect(await muster.subscriptions('s2')).toEqual(['safety: active', 'welcome: active']);
    const held = await muster.store.learners.findOne({ externalId: 's2' as ExternalId });
    expect(held?.status).toBe('active');
  });

  test('R21: what was taken out by hand is put back by a feed with authority', async () => {
    await muster.feed(feed('strong'));
    const file = 'ID,Groups\nr1,sector-a\n';
    await muster.import(file, { feed: 'strong' });
    await removeMembers(muster.context, {
      group: await muster.group('sector-a'),
      learners: [await muster.learner('r1')],
      courses: 'expire',
      by,
    });
    expect(await muster.memberships('r1')).toEqual([]);
    expect(await muster.import(file, { feed: 'strong' })).toMatchObject({
      memberships: { added: 1 },
      subscriptions: { reactivated: 2 },
    });
    expect(await muster.memberships('r1')).toEqual(['sector-a: strong']);
  });

  test('R21: with shared authority it stays out until the feed says something new', async () => {
    await muster.feed(feed('shared', 'authority: shared'));
    await muster.import('ID,Last,Groups\nr2,Old,sector-a\n', { feed: 'shared' });
    await removeMembers(muster.context, {
      group: await muster.group('sector-a'),
      learners: [await muster.learner('r2')],
      courses: 'expire',
      by,
    });
    expect(await muster.import('ID,Last,Groups\nr2,Old,sector-a\n', { feed: 'shared' })).toMatchObject({
      noChange: true,
    });
    expect(await muster.memberships('r2')).toEqual([]);
    await muster.import('ID,Last,Groups\nr2,New,sector-a\n', { feed: 'shared' });
    expect(await muster.memberships('r2')).toEqual(['sector-a: shared']);
  });
});

describe('R21: shared authority where rows cannot be compared', () => {
  test('what was changed by hand stays when the file gets another column, and until the row changes', async () => {
    await muster.feed(feed('wider', 'authority: shared'));
    await muster.import('ID,Last,Groups\nk1,Old,sector-a\nk2,Old,sector-a\n', { feed: 'wider' });
    const order = { group: await muster.group('sector-a'), courses: 'expire' as const, by };
    await removeMembers(muster.context, { ...order, learners: [await muster.learner('k1')] });
    muster.clock.forward(120_000);
    for (const row of ['k1,Old,sector-a,x\nk2,Newer,sector-a,x', 'k1,Old,sector-a,x\nk2,Newest,sector-a,x']) {
      await muster.import(`ID,Last,Groups,Note\n${row}\n`, { feed: 'wider' });
      expect(await muster.memberships('k1')).toEqual([]);
    }
    // Another column that is mapped: every row is read, and still it is no news.
    await muster.feed(feed('wider', 'authority: shared\nmoved: { courses: keep }'));
    const report = await muster.import('ID,Last,Groups\nk1,Old,sector-a\nk2,Last,sector-a\n', { feed: 'wider' });
    expect(report).toMatchObject({ learners: { updated: 1 }, memberships: { added: 0 } });
    await muster.import('ID,Last,Groups\nk1,New,sector-a\nk2,Last,sector-a\n', { feed: 'wider' });
    expect(await muster.memberships('k1')).toEqual(['sector-a: wider']);
    // The feed has had news of the learner: what it says counts again, however it is read.
    await muster.feed(feed('wider', 'authority: shared'));
    const learner = await muster.store.learners.findOne({ _id: await muster.learner('k1') });
    expect(learner?.lookAgain).toBeUndefined();
  });

  test('who is gone from the file has left, changed by hand or not', async () => {
    await muster.feed(feed('gone', 'authority: shared'));
    await muster.import('ID,Last,Groups\nu1,Old,sector-a;lone\nu2,Old,sector-a\n', { feed: 'gone' });
    const order = { group: await muster.group('sector-a'), courses: 'expire' as const, by };
    await removeMembers(muster.context, { ...order, learners: [await muster.learner('u1')] });
    await muster.import('ID,Last,Groups,Note\nu2,Old,sector-a,x\n', { feed: 'gone' });
    expect(await muster.memberships('u1')).toEqual([]);
  });
});

describe('unknown groups and learners', () => {
  test('R19: unknownGroup create makes the group below the parent that the feed names', async () => {
    await muster.feed(`name: makes
learner: { externalId: ID }
groups: [{ column: Group, name: Name, parent: Above }]
unknownGroup: create
${OFF}`);
    const report = await muster.import(
      'ID,Group,Name,Above\nm1,team-1,Team One,sector-a\nm2,team-2,Team Two,team-1\n',
      { feed: 'makes' },
    );
    expect(report).toMatchObject({ state: 'completed', groups: { created: 2 }, learners: { created: 2 } });
    expect(await muster.subscriptions('m2')).toEqual(['safety: active', 'welcome: active']);
    const again = await muster.import('ID,Group,Name,Above\nm2,team-2,Team Two,team-1\nm1,team-1,Team One,sector-a\n', {
      feed: 'makes',
    });
    expect(again).toMatchObject({ noChange: true, groups: { created: 0 } });
  });

  test('R12 R19: unknownLearner reject names the near match', async () => {
    await muster.feed(feed('strict', 'unknownLearner: reject'));
    await addLearner(muster.context, {
      identity: { externalId: '0042' as ExternalId, status: 'active', attributes: {} },
      by,
    });
    const report = await muster.import('ID,Groups\n42,sector-a\n', { feed: 'strict' });
    expect(report).toMatchObject({ state: 'completed', rows: { rejected: 1 }, learners: { created: 0 } });
    expect(report.problems[0]).toMatchObject({ row: 2, code: 'unknown-learner' });
    expect(report.problems[0]?.message).toContain('0042');
  });

  test('R12: matched by e-mail, a stored learner without External ID receives it', async () => {
    await muster.feed(feed('matches', 'match: [externalId, email]'));
    const identity = { email: 'Sam@X.org', status: 'active' as const, attributes: {} };
    const id = await addLearner(muster.context, { identity, by });
    const report = await muster.import('ID,Mail,Groups\ne1,sam@x.org,sector-a\n', { feed: 'matches' });
    expect(report).toMatchObject({ state: 'completed', learners: { created: 0, updated: 1 } });
    expect(await muster.learner('e1')).toBe(id);
  });
});

describe('leavers', () => {
  test('R20: grace days run before a leaver is taken out, and coming back ends them', async () => {
    await muster.feed(feed('grace', 'leaver: { courses: expire, graceDays: 3 }'));
    const both = 'ID,Groups\ng1,sector-a\ng2,sector-a\n';
    await muster.import(both, { feed: 'grace' });
    const without = 'ID,Groups\ng2,sector-a\n';
    expect(await muster.import(without, { feed: 'grace' })).toMatchObject({ memberships: { removed: 0 } });
    expect(await muster.memberships('g1')).toEqual(['sector-a: grace']);
    muster.clock.forward(DAY);
    await muster.import(both, { feed: 'grace' });
    muster.clock.forward(DAY);
    await muster.import(without, { feed: 'grace' });
    muster.clock.forward(2.5 * DAY);
    expect(await muster.import(without, { feed: 'grace' })).toMatchObject({ memberships: { removed: 0 } });
    muster.clock.forward(DAY);
    const report = await muster.import(without, { feed: 'grace' });
    expect(report).toMatchObject({
      memberships: { removed: 1 },
      learners: { deactivated: 1 },
      subscriptions: { expired: 2 },
    });
    expect(await muster.import(without, { feed: 'grace' })).toMatchObject({ noChange: true });
  });

  test('R8 R20: a leaver is purged only where the feed says so, and then the guard counts it', async () => {
    await muster.feed(feed('purges', 'leaver: { courses: purge }').replace(', purged: off', ''));
    await muster.import('ID,Groups\nu1,sector-a\nu2,sector-a\n', { feed: 'purges' });
    const report = await muster.import('ID,Groups\nu2,sector-a\n', { feed: 'purges' });
    expect(report).toMatchObject({ state: 'held', guard: { breaches: [{ limit: 'purged', value: 1, max: 0 }] } });
    const approved = await muster.import('ID,Groups\nu2,sector-a\n', { feed: 'purges', approve: true });
    expect(approved).toMatchObject({ state: 'completed', subscriptions: { purged: 2 } });
    expect(await muster.subscriptions('u1')).toEqual([]);
  });
});

describe('addresses', () => {
  test('R12 R20: a leaver who is no learner keeps no address from the one who has come again under another ID', async () => {
    await muster.feed(
      feed(
        'rehired',
        'learner: { externalId: ID, email: Mail, status: { column: S, active: [A], left: [T] } }',
      ).replace(/^learner.*\n/m, ''),
    );
    const report = await muster.import('ID,Mail,S,Groups\no1,re@x.org,T,sector-a\no2,re@x.org,A,sector-a\n', {
      feed: 'rehired',
    });
    expect(report).toMatchObject({ rows: { rejected: 0 }, learners: { created: 1 } });
    const again = await muster.import('ID,Mail,S,Groups\no2,re@x.org,T,sector-a\no3,re@x.org,A,sector-a\n', {
      feed: 'rehired',
    });
    // Whoever is one holds it still.
    expect(again.problems.map(({ code }) => code)).toContain('email-twice');
  });
});

describe('R5: windows', () => {
  test('R5 R17: in another time zone the same rows mean other moments', async () => {
    const settings = (zone: string) => feed('zones', `window: { until: Until }\nschedule: { timeZone: ${zone} }`);
    const until = async () => {
      const learner = await muster.store.learners.findOne({ _id: await muster.learner('z1') });
      return learner?.memberships[0]?.sources[0]?.until?.getTime() ?? 0;
    };
    const text = 'ID,Groups,Until\nz1,sector-a,2027-03-04\n';
    await muster.feed(settings('UTC'));
    await muster.import(text, { feed: 'zones' });
    const before = await until();
    await muster.feed(settings('America/New_York'));
    expect(await muster.import(text, { feed: 'zones' })).toMatchObject({ noChange: false });
    expect((await until()) - before).toBe(5 * 3_600_000);
  });

  test('open and close by themselves, with the leaver option of the feed', async () => {
    await muster.feed(feed('window', 'window: { from: From, until: Until }\nleaver: { courses: keep }'));
    muster.clock.set('2026-03-01T00:00:00Z');
    const report = await muster.import('ID,Groups,From,Until\nw1,sector-a,2026-03-02,2026-03-04\n', { feed: 'window' });
    expect(report).toMatchObject({ state: 'completed', memberships: { added: 1 }, subscriptions: { subscribed: 0 } });
    muster.clock.set('2026-03-02T00:00:00Z');
    // The workers look for due windows too: whoever makes the run, its effect comes.
    await settleDueWindows(muster.context);
    await expect.poll(() => muster.subscriptions('w1')).toEqual(['safety: active', 'welcome: active']);
    muster.clock.set('2026-03-04T00:00:30Z');
    await settleDueWindows(muster.context);
    await expect.poll(() => muster.subscriptions('w1')).toEqual(['safety: active*', 'welcome: active*']);
    expect(await settleDueWindows(muster.context)).toBe(0);
    expect(
      await muster.import('ID,Groups,From,Until\nw1,sector-a,2026-03-02,2026-03-04\n', { feed: 'window' }),
    ).toMatchObject({ noChange: true });
  });
});

describe('what rows mean', () => {
  test('R13: the same rows below another header are other facts', async () => {
    await muster.feed(feed('columns'));
    await muster.import('ID,Last,Groups\nx1,sector-b,sector-a\n', { feed: 'columns' });
    const report = await muster.import('ID,Groups,Last\nx1,sector-b,sector-a\n', { feed: 'columns' });
    expect(report).toMatchObject({ noChange: false, memberships: { added: 1, removed: 1 }, learners: { updated: 1 } });
    expect(await muster.memberships('x1')).toEqual(['sector-b: columns']);
  });

  test('what is taken out by hand is no longer counted as held by the feed', async () => {
    await muster.feed(feed('counts'));
    await muster.import('ID,Groups\nc1,sector-a;lone\nc2,sector-a\n', { feed: 'counts' });
    await removeMembers(muster.context, {
      group: await muster.group('lone'),
      learners: [await muster.learner('c1')],
      courses: 'expire',
      by,
    });
    const feedDoc = await muster.store.feeds.findOne({ _id: 'counts' });
    expect(feedDoc?.held).toEqual({ learners: 2, memberships: 2 });
    const report = await muster.import('ID,Groups\nc1,sector-a;lone\nc2,sector-a\n', { feed: 'counts' });
    expect(report).toMatchObject({ memberships: { added: 1, unchanged: 2 } });
  });

  test('R30: a held plan says what it would do to subscriptions', async () => {
    await muster.feed(feed('shows').replace(', purged: off', ', membershipsRemoved: 0'));
    await muster.import('ID,Groups\ny1,sector-a\ny2,sector-a\n', { feed: 'shows' });
    const report = await muster.import('ID,Groups\ny1,sector-a\n', { feed: 'shows' });
    expect(report).toMatchObject({ state: 'held', subscriptions: { expired: 2 } });
  });

  test('an External ID that looks like an id is refused', async () => {
    const identity = { externalId: 'id:5' as ExternalId, status: 'active' as const, attributes: {} };
    await expect(addLearner(muster.context, { identity, by })).rejects.toThrow(/cannot be one/);
    await muster.feed(feed('looks-like'));
    const report = await muster.import('ID,Groups\nid:7,sector-a\n', { feed: 'looks-like' });
    expect(report).toMatchObject({ rows: { rejected: 1 }, problems: [{ code: 'bad-external-id' }] });
  });
});

test('R17: a preview writes nothing but its own run, with the figures of what would happen', async () => {
  await muster.feed(feed('looks'));
  const before = await muster.store.meta.findOne({ _id: 'learners' });
  const report = await muster.import('ID,Groups\nv1,sector-a\n', { feed: 'looks', preview: true });
  expect(report).toMatchObject({
    state: 'planned',
    preview: true,
    learners: { created: 1 },
    memberships: { added: 1 },
    subscriptions: { subscribed: 2 },
  });
  expect(await muster.store.learners.findOne({ externalId: 'v1' as ExternalId })).toBeNull();
  expect(await muster.store.meta.findOne({ _id: 'learners' })).toEqual(before);
});
