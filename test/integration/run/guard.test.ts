import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { approveRun, rejectRun } from '../../../src/run/approval.ts';
import { enqueueRun } from '../../../src/run/enqueue.ts';
import { addMembers } from '../../../src/run/memberships.ts';
import { COMPANY, HR, useMuster } from '../../harness.ts';

const muster = useMuster();
const HEADER = 'EmployeeID,Mail,FirstName,LastName,Status,Groups';

/** Rows of learners 001 … in one group, some left out, some changed. */
function sheet(count: number, row: (n: number) => string | null = (n) => line(n)): string {
  const rows = Array.from({ length: count }, (_, at) => row(at + 1)).filter((one) => one !== null);
  return `${[HEADER, ...rows].join('\n')}\n`;
}

function line(n: number, groups = 'sector-a', status = 'A'): string {
  const id = String(n).padStart(3, '0');
  return `${id},p${id}@x.org,First${id},Last${id},${status},${groups}`;
}

async function facts(): Promise<unknown> {
  const { store } = muster;
  return Promise.all([
    store.learners.find().sort({ _id: 1 }).toArray(),
    store.subscriptions.find().sort({ _id: 1 }).toArray(),
    store.outbox.countDocuments(),
  ]);
}

beforeAll(async () => {
  await muster.structure(COMPANY);
  await muster.feed(HR);
  await muster.import(sheet(40));
});

describe('a plan that breaks a limit', () => {
  let before: unknown;
  beforeEach(async () => {
    before = await facts();
  });

  test('R22: is held with every breach and figure, and nothing of it is applied', async () => {
    const report = await muster.import(sheet(20));
    expect(report.state).toBe('held');
    expect(report.guard.breaches).toEqual([
      { limit: 'membershipsLostPercent', value: 50, max: 5, group: null },
      { limit: 'membershipsRemovedPercent', value: 50, max: 20, group: null },
      { limit: 'deactivatedPercent', value: 50, max: 5, group: null },
      { limit: 'rowsPercent', value: 50, min: 80, max: 200, group: null },
      { limit: 'removed24hPercent', value: 50, max: 8, group: null },
      { limit: 'removed7dPercent', value: 50, max: 15, group: null },
    ]);
    expect(await facts()).toEqual(before);
  });

  test('R22: a newer run supersedes it, and then it cannot be approved', async () => {
    const held = await muster.import(sheet(20));
    expect(await muster.import(sheet(40))).toMatchObject({ state: 'completed', noChange: true });
    await expect(approveRun(muster.context, held.run, 'tester')).rejects.toThrow(/superseded by run r/);
    expect(await facts()).toEqual(before);
  });

  test('R22: rejected, it is over and nothing was changed', async () => {
    const held = await muster.import(sheet(20));
    expect(await rejectRun(muster.context, held.run, 'tester', 'half a file')).toMatchObject({ state: 'rejected' });
    await expect(approveRun(muster.context, held.run, 'tester')).rejects.toThrow(/is rejected, not held/);
    expect(await facts()).toEqual(before);
  });

  test('R30: a plan made stale by a change by hand is refused, not applied', async () => {
    const held = await muster.import(sheet(20));
    await muster.store.learners.updateOne({ externalId: '030' as never }, { $inc: { revision: 1 } });
    await expect(approveRun(muster.context, held.run, 'tester')).rejects.toThrow(/1 of the learners .* were changed/);
  });

  test('R30: approved, it does what it showed, once; twice is refused', async () => {
    const held = await muster.import(sheet(30));
    expect(held.state).toBe('held');
    await approveRun(muster.context, held.run, 'tester');
    await enqueueRun(muster.store, muster.queues, held.run);
    expect((await muster.settled(held.run)).state).toBe('completed');
    await expect(approveRun(muster.context, held.run, 'tester')).rejects.toThrow(/is completed, not held/);
    expect(await muster.subscriptions('035')).toEqual(['safety: expired', 'welcome: expired']);
    expect(await muster.import(sheet(30))).toMatchObject({ noChange: true });
  });
});

test('R13 R22: a delta feed is held by what it takes of what it holds, not by how many rows it has', async () => {
  await muster.feed(
    HR.replace('name: hr', 'name: changes').concat(
      'mode: delta\naction: { column: Do, add: [add], remove: [remove] }\n',
    ),
  );
  const delta = (count: number, what: string) =>
    [`${HEADER},Do`, ...Array.from({ length: count }, (_, at) => `${line(at + 500)},${what}`)].join('\n').concat('\n');
  expect(await muster.import(delta(40, 'add'), { feed: 'changes' })).toMatchObject({ state: 'completed' });
  const held = await muster.import(delta(20, 'remove'), { feed: 'changes' });
  expect(held.state).toBe('held');
  expect(held.guard.breaches.map(({ limit }) => limit)).toEqual([
    'membershipsLostPercent',
    'membershipsRemovedPercent',
    'removed24hPercent',
    'removed7dPercent',
    'allFeeds24hPercent',
  ]);
  await rejectRun(muster.context, held.run, 'tester');
});

describe('files that cannot be used', () => {
  test.each([
    ['empty', ''],
    ['cut off within a row', sheet(30).slice(0, -12)],
    ['within quotes', `${sheet(30)}"031,open`],
    ['without the mapped columns', 'Number,Group\n001,sector-a\n'],
  ])('R16: a feed %s changes nothing at all', async (_, text) => {
    const before = await facts();
    const report = await muster.import(text);
    expect(report).toMatchObject({ state: 'failed', rows: { read: 0 } });
    expect(report.error?.message).toMatch(/othing was changed/);
    expect(await facts()).toEqual(before);
  });
});

describe('what is lost otherwise than by a removal', () => {
  const windowed = (name: string, guard: string) => `name: ${name}
learner: { externalId: ID }
groups: [{ column: Groups }]
window: { until: Until }
guard: { ${guard}, allFeeds24hPercent: off }
`;
  const people = (name: string, count: number, until: (n: number) => string, group = 'sector-b') =>
    `ID,Groups,Until\n${Array.from({ length: count }, (_, n) => `${name}${n},${group},${until(n)}\n`).join('')}`;

  test('R15: windows that a plan closes count as removed; those that it shortens do not', async () => {
    await muster.feed(windowed('ends', 'createdPercent: off'));
    await muster.import(
      people('e', 30, () => ''),
      { feed: 'ends' },
    );
    expect(
      await muster.import(
        people('e', 30, () => '2099-01-01'),
        { feed: 'ends' },
      ),
    ).toMatchObject({
      state: 'completed',
      memberships: { changed: 30, removed: 0 },
    });
    const held = await muster.import(
      people('e', 30, () => '2020-01-01'),
      { feed: 'ends' },
    );
    expect(held).toMatchObject({ state: 'held', memberships: { changed: 30, removed: 0 } });
    const limits = held.guard.breaches.map(({ limit, value }) => [limit, value]);
    expect(limits).toContainEqual(['membershipsLostPercent', 100]);
    expect(limits).toContainEqual(['membershipsRemovedPercent', 100]);
    const few = await muster.import(
      people('e', 30, (n) => (n < 3 ? '2020-01-01' : '2099-01-01')),
      { feed: 'ends' },
    );
    expect(few).toMatchObject({ state: 'completed', memberships: { changed: 3 } });
  });

  test('a limit of groups holds where a few leave a small one, those whom something else holds in it not counted', async () => {
    const off =
      'membershipsLostPercent: off, membershipsRemovedPercent: off, deactivatedPercent: off, rowsPercent: off, removed24hPercent: off, removed7dPercent: off';
    await muster.feed(windowed('small', `groupRemovedPercent: 20, ${off}`));
    await muster.import(
      people('s', 30, () => '', 'lone'),
      { feed: 'small' },
    );
    const group = await muster.group('lone');
    const without = (count: number) =>
      people('s', 30, () => '', 'lone')
        .split('\n')
        .filter((_, row) => row === 0 || row > count)
        .join('\n');
    expect(await muster.import(without(6), { feed: 'small' })).toMatchObject({ state: 'completed' });
    const held = await muster.import(without(12), { feed: 'small' });
    expect(held.guard.breaches).toEqual([{ limit: 'groupRemovedPercent', value: 25, max: 20, group: 'lone' }]);
    const learners = await Promise.all([6, 7, 8].map((n) => muster.learner(`s${n}`)));
    await addMembers(muster.context, { group, learners, by: 'test' });
    expect(await muster.import(without(12), { feed: 'small' })).toMatchObject({ state: 'completed' });
  });
});

describe('rejected rows', () => {
  test('R12 R15: an unknown group rejects the row with a near miss, and its learner is not a leaver', async () => {
    const report = await muster.import(
      sheet(30, (n) => (n === 7 ? line(n, 'Sector-A') : line(n))),
      {},
    );
    expect(report).toMatchObject({
      state: 'completed',
      rows: { read: 30, accepted: 29, rejected: 1 },
      memberships: { removed: 0, added: 0 },
      protected: { learners: 1 },
      problems: [{ row: 8, code: 'unknown-group', count: 1 }],
    });
    expect(report.problems[0]?.message).toMatch(/sector-a .*letter case or zeros/i);
    expect(await muster.memberships('007')).toEqual(['sector-a: hr']);
    const feed = await muster.store.feeds.findOne({ _id: 'hr' });
    expect(feed?.held).toEqual({ learners: 30, memberships: 30 });
  });

  test('R15: the protected learner is looked at again in the next run', async () => {
    const report = await muster.import(
      sheet(30, (n) => (n === 7 ? null : line(n))),
      { approve: true },
    );
    expect(report).toMatchObject({ state: 'completed', memberships: { removed: 1 }, learners: { deactivated: 1 } });
    expect(await muster.memberships('007')).toEqual([]);
    expect(await muster.import(sheet(30))).toMatchObject({
      state: 'completed',
      learners: { reactivated: 1 },
      subscriptions: { reactivated: 2 },
    });
  });

  test('R15: a row in which nobody is recognised holds a run that would remove something', async () => {
    const report = await muster.import(
      sheet(30, (n) => (n === 3 ? null : n === 4 ? ',,Who,Knows,A,sector-b' : line(n))),
    );
    expect(report).toMatchObject({ state: 'held', rows: { rejected: 1 } });
    expect(report.guard.breaches).toContainEqual({ limit: 'unrecognised', value: 1, max: 0, group: null });
  });

  test('R15: nobody is recognised by an address that nobody has', async () => {
    const stranger = (mail: string) =>
      sheet(30, (n) => (n === 3 ? null : n === 4 ? `,${mail},Who,Knows,A,sector-b` : line(n)));
    const held = await muster.import(stranger('new@x.org'));
    expect(held.guard.breaches).toContainEqual({ limit: 'unrecognised', value: 1, max: 0, group: null });
    const known = await muster.import(stranger('P004@x.org'), { preview: true });
    expect(known.guard.breaches.map(({ limit }) => limit)).not.toContain('unrecognised');
  });

  test('R15: nobody is taken out of a group that a rejected row names', async () => {
    const report = await muster.import(
      sheet(30, (n) => (n === 3 ? null : n === 4 ? ',,Who,Knows,A,sector-a' : line(n))),
    );
    expect(report).toMatchObject({ state: 'completed', memberships: { removed: 0 }, protected: { groups: 1 } });
    expect(await muster.memberships('003')).toEqual(['sector-a: hr']);
    expect(await muster.import(sheet(30))).toMatchObject({ state: 'completed', memberships: { removed: 0 } });
  });

  test('R12: two learners swap their e-mail addresses in one run', async () => {
    const swapped = sheet(30, (n) => {
      if (n === 10) return line(10).replace('p010@', 'p011@');
      if (n === 11) return line(11).replace('p011@', 'p010@');
      return line(n);
    });
    expect(await muster.import(swapped)).toMatchObject({
      state: 'completed',
      rows: { rejected: 0 },
      learners: { updated: 2 },
    });
    const ten = await muster.store.learners.findOne({ externalId: '010' as never });
    expect(ten).toMatchObject({ email: 'p011@x.org', emailKey: 'p011@x.org' });
    expect(await muster.import(sheet(30))).toMatchObject({ state: 'completed', learners: { updated: 2 } });
  });

  test('R12: an e-mail address that another learner keeps rejects the row and names the holder', async () => {
    const taken = sheet(30, (n) => (n === 12 ? line(12).replace('p012@', 'p013@') : line(n)));
    const report = await muster.import(taken);
    expect(report).toMatchObject({
      state: 'completed',
      rows: { rejected: 1 },
      problems: [{ row: 13, code: 'email-held' }],
    });
    expect(report.problems[0]?.message).toContain('held by learner 013');
    expect(await muster.import(sheet(30))).toMatchObject({ state: 'completed', rows: { rejected: 0 } });
  });

  test('R18: repeated rows count once and are reported; order does not matter', async () => {
    const lines = sheet(30).trimEnd().split('\n');
    const repeated = [lines[0], ...lines.slice(1).reverse(), lines[5], lines[5]].join('\n');
    const report = await muster.import(`${repeated}\n`);
    expect(report).toMatchObject({ noChange: true, rows: { read: 32, repeated: 2, rejected: 0 } });
    const again = await muster.import(`${repeated}\n\n`);
    expect(again).toMatchObject({ noChange: true, rows: { read: 32, repeated: 2 } });
  });
});

test('R13: who is named as left, night after night, is nobody whom the feed holds, and no limit is widened by him', async () => {
  const held = async () => (await muster.store.feeds.findOne({ _id: 'hr' }))?.held.learners;
  const left = (n: number) => n > 15;
  const night = (gone: (n: number) => boolean, room = '') =>
    sheet(40, (n) => line(n, gone(n) ? '' : 'sector-a', gone(n) ? 'T' : 'A').replace('Last001', `Last001${room}`));
  await muster.import(sheet(40), { approve: true });
  expect(await held()).toBe(40);
  await muster.import(night(left), { approve: true });
  expect(await held()).toBe(15);
  // The rows of those who left are known by their hashes alone now.
  const known = await muster.import(night(left, 'x'));
  expect(known.learners).toMatchObject({ updated: 1, unchanged: 39 });
  expect(await held()).toBe(15);
  expect((await muster.import(night(left, 'x'))).learners).toMatchObject({ updated: 0, unchanged: 40 });
  const next = await muster.import(night((n) => n > 4, 'x'));
  expect(next.guard.breaches).toContainEqual({ limit: 'deactivatedPercent', value: 73.3, max: 5, group: null });
  await muster.import(sheet(40), { approve: true });
  expect(await held()).toBe(40);
});
