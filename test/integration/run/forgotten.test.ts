import { beforeAll, describe, expect, test } from 'vitest';
import type { ExternalId } from '../../../src/domain/ids.ts';
import { addLearner, editLearner } from '../../../src/run/memberships.ts';
import { queueItems, retryItem } from '../../../src/run/retryQueue.ts';
import { createGroup } from '../../../src/run/structureChange.ts';
import { COMPANY, useMuster } from '../../harness.ts';

/** Learners whom a feed could lose sight of: of each the next runs still have to do what the rules say. */
const muster = useMuster();
const by = 'tester';

const STATUS = '{ column: Status, active: [A], left: [T] }';

function feed(name: string, more = '', status = ''): string {
  return `name: ${name}
learner:
  externalId: ID
  email: { column: Mail, optional: true }
${status && `  status: ${status}`}
groups: [{ column: Groups, separator: ";" }]
guard: { rowsPercent: off, membershipsLostPercent: off, membershipsRemovedPercent: off, deactivatedPercent: off,
  removed24hPercent: off, removed7dPercent: off, rejectedPercent: off, identityChangedPercent: off, createdPercent: off }
${more}`;
}

const stored = (id: string) => muster.store.learners.findOne({ externalId: id as ExternalId });

beforeAll(() => muster.structure(COMPANY));

describe('rows that are all rejected while one of them is as it was', () => {
  test('R15 R20: the learner keeps all that night, and is a leaver as soon as no row is there', async () => {
    await muster.feed(feed('twofold', '', STATUS));
    await muster.import('ID,Status,Groups\nt1,A,sector-a\nt2,A,lone\n', { feed: 'twofold' });
    const second = await muster.import('ID,Status,Groups\nt1,A,sector-a\nt1,T,sector-a\nt2,A,sector-b\n', {
      feed: 'twofold',
    });
    expect(second).toMatchObject({ state: 'completed', rows: { rejected: 2 }, memberships: { added: 1, removed: 1 } });
    expect(await muster.memberships('t1')).toEqual(['sector-a: twofold']);
    const third = await muster.import('ID,Status,Groups\nt2,A,sector-b\n', { feed: 'twofold' });
    expect(third).toMatchObject({ state: 'completed', memberships: { removed: 1 }, learners: { deactivated: 1 } });
    expect(await muster.memberships('t1')).toEqual([]);
  });

  test('R17: the same rejected rows again take nothing away and change nothing', async () => {
    await muster.feed(feed('again', '', STATUS));
    await muster.import('ID,Status,Groups\na1,A,sector-a\na2,A,sector-a\n', { feed: 'again' });
    const rows = 'ID,Status,Groups\na1,A,sector-a\na1,T,sector-a\n';
    await muster.import(`${rows}a2,A,sector-b\n`, { feed: 'again' });
    expect(await muster.import(`${rows}a2,A,sector-b\n`, { feed: 'again' })).toMatchObject({ noChange: true });
    await muster.import(`${rows}a2,A,sector-a\n`, { feed: 'again' });
    expect(await muster.memberships('a1')).toEqual(['sector-a: again']);
  });
});

describe('operations that were set aside', () => {
  /** A creation that fails, since somebody has taken the address between plan and application. */
  async function setAside(name: string, id: string): Promise<void> {
    await muster.stopWorkers();
    const run = await muster.read(`ID,Mail,Groups\n${id},${id}@x.org,sector-a\n${id}b,${id}b@x.org,sector-a\n`, {
      feed: name,
    });
    const thief = await addLearner(muster.context, {
      identity: { email: `${id}@x.org`, status: 'active', attributes: {} },
      by,
    });
    await muster.startWorkers();
    await muster.settled(run._id);
    await editLearner(muster.context, { learner: thief, set: { email: `other-${id}@x.org` }, by });
  }

  test('R13 R27: with shared authority too, the next full run does what was set aside before it lets go of it', async () => {
    await muster.feed(feed('sharing', 'authority: shared'));
    await setAside('sharing', 'q1');
    expect(await stored('q1')).toBeNull();
    await muster.import('ID,Mail,Groups\nq1,q1@x.org,sector-a\nq1b,q1b@x.org,sector-b\n', { feed: 'sharing' });
    expect(await muster.memberships('q1')).toEqual(['sector-a: sharing']);
  });

  test('R20: a learner made elsewhere, whom a retry gave to the feed, is a leaver when the row is gone', async () => {
    await muster.feed(feed('retried'));
    await setAside('retried', 'q2');
    await addLearner(muster.context, {
      identity: { externalId: 'q2' as ExternalId, status: 'active', attributes: {} },
      by,
    });
    for await (const item of queueItems(muster.context, { feed: 'retried' })) await retryItem(muster.context, item);
    expect(await muster.memberships('q2')).toEqual(['sector-a: retried']);
    await muster.import('ID,Mail,Groups\nq2b,q2b@x.org,sector-a\n', { feed: 'retried' });
    expect(await muster.memberships('q2')).toEqual([]);
  });
});

describe('unknown learners', () => {
  test('R15 R18: a rejected row protects the near match wherever in a long file it stands', async () => {
    await muster.feed(feed('strict', 'unknownLearner: reject'));
    const ids = Array.from({ length: 1_500 }, (_, at) => `u${String(at + 1).padStart(5, '0')}`);
    const identities = ids.map((id) => ({ _id: 900_000 + Number(id.slice(1)), externalId: id, status: 'active' }));
    await muster.store.learners.insertMany(
      identities.map((one) => ({ ...one, revision: 1, memberships: [], holds: [], attributes: {} })) as never[],
    );
    const rest = ids.slice(1).map((id) => `${id},lone\n`);
    await muster.import(`ID,Groups\nu00001,sector-a\n${rest.join('')}`, { feed: 'strict' });
    expect(await muster.memberships('u00001')).toEqual(['sector-a: strict']);
    await createGroup(muster.context, { externalId: 'newly' as ExternalId, name: 'Newly', by });
    const report = await muster.import(`ID,Groups\nu00001,sector-b\n${rest.join('')}U00001,sector-a\n`, {
      feed: 'strict',
    });
    expect(report).toMatchObject({ state: 'completed', rows: { rejected: 1 } });
    expect(await muster.memberships('u00001')).toEqual(['sector-a: strict', 'sector-b: strict']);
  });
});

describe('an address that its holder does not give up', () => {
  test('R12 R14: of a leaver whom the feed does not hold nothing is taken, the address neither', async () => {
    await muster.feed(feed('rehire', '', STATUS));
    await addLearner(muster.context, {
      identity: { externalId: 'h1' as ExternalId, email: 'h@x.org', status: 'active', attributes: {} },
      by,
    });
    const report = await muster.import('ID,Mail,Status,Groups\nh1,,T,\nh2,h@x.org,A,sector-a\n', { feed: 'rehire' });
    expect(report.problems[0]).toMatchObject({ code: 'email-held' });
    expect(await stored('h1')).toMatchObject({ email: 'h@x.org' });
  });

  test('R12 R15: who is protected by a rejected row keeps an address that another row leaves blank', async () => {
    await muster.feed(feed('shielded', '', STATUS));
    await muster.import('ID,Mail,Status,Groups\ng1,g@x.org,A,sector-a\n', { feed: 'shielded' });
    const report = await muster.import(
      'ID,Mail,Status,Groups\ng1,,A,sector-a\ng1,,A,nowhere\ng2,g@x.org,A,sector-a\n',
      { feed: 'shielded' },
    );
    expect(report.state).toBe('completed');
    expect(await stored('g1')).toMatchObject({ email: 'g@x.org' });
    expect(await stored('g2')).toBeNull();
  });
});

describe('previews', () => {
  test('a preview of newcomers needs no more memory than they', async () => {
    await muster.feed(feed('looking'));
    const before = process.memoryUsage().arrayBuffers;
    let most = 0;
    const watch = setInterval(() => (most = Math.max(most, process.memoryUsage().arrayBuffers)), 1);
    const rows = Array.from({ length: 20 }, (_, at) => `v${at},v${at}@x.org,lone\n`).join('');
    const report = await muster.import(`ID,Mail,Groups\n${rows}`, { feed: 'looking', preview: true });
    most = Math.max(most, process.memoryUsage().arrayBuffers);
    clearInterval(watch);
    expect(report).toMatchObject({ state: 'planned', learners: { created: 20 } });
    expect(most - before).toBeLessThan(100 * 1024 * 1024);
  });
});
