import { beforeAll, describe, expect, test } from 'vitest';
import type { ExternalId } from '../../../src/domain/ids.ts';
import { dropTables } from '../../../src/run/advance.ts';
import { rejectRun } from '../../../src/run/approval.ts';
import { removeMembers } from '../../../src/run/memberships.ts';
import { createGroup, editGroup } from '../../../src/run/structureChange.ts';
import { writeTable } from '../../../src/store/tables.ts';
import { COMPANY, HR, useMuster } from '../../harness.ts';

const muster = useMuster();
const header = 'EmployeeID,Mail,FirstName,LastName,Status,Groups\n';
const file = `${header}001,a@x.org,Ann,Lee,A,sector-a\n002,b@x.org,Bo,Day,A,sector-b\n003,c@x.org,Cy,Fox,A,nowhere\n`;

beforeAll(async () => {
  await muster.structure(COMPANY);
  await muster.feed(HR);
});

test('R17: the same bytes with a rejected row are no change, read once, and the row is rejected as before', async () => {
  const first = await muster.import(file, { approve: true });
  const again = await muster.import(file);
  const { rows, problems, protected: shielded } = first;
  expect(rows.rejected).toBe(1);
  expect(again).toMatchObject({ state: 'completed', noChange: true, rows, problems, protected: shielded });
  expect(again.stages.map(({ name }) => name)).toEqual(['read']);
  const kept = await muster.store.rejected.find({ '_id.run': again.run }).toArray();
  expect(kept.map(({ _id, code }) => [_id.row, code])).toEqual([[4, 'unknown-group']]);
});

test('R17: the same bytes are read anew when the group of the rejected row has come', async () => {
  await muster.structure({ courses: [], groups: [{ externalId: 'nowhere' as never, name: 'Somewhere' }] });
  expect(await muster.import(file)).toMatchObject({ noChange: false, rows: { rejected: 0 }, learners: { created: 1 } });
});

test('R12 R17: an e-mail address that is given up lets the same bytes be read anew', async () => {
  const asks = `${file}004,a@x.org,Di,Gray,A,sector-a\n`;
  expect(await muster.import(asks, { approve: true })).toMatchObject({ rows: { rejected: 1 } });
  const again = await muster.import(asks, { approve: true });
  expect(again.rows.rejected).toBe(1);
  expect(again.stages.map(({ name }) => name)).toContain('plan');
});

describe('the same facts in other bytes', () => {
  const night = (edited: string, group = 'sector-a') =>
    `EmployeeID,Groups,Room\n${Array.from({ length: 300 }, (_, at) => `t${at},sector-a,${at}\n`).join('')}edited,${group},${edited}\n`;
  const table = async () => (await muster.store.feeds.findOne({ _id: 'rooms' }))?.applied?.table;
  const settings = (authority: string) =>
    `name: rooms\nlearner: { externalId: EmployeeID }\ngroups: [{ column: Groups }]\nauthority: ${authority}\n`;

  test('R17: a row edited outside the mapped columns writes no table; what it says later is seen', async () => {
    await muster.feed(settings('feed'));
    await muster.import(night('1'), { feed: 'rooms' });
    const before = await table();
    expect(await muster.import(night('2'), { feed: 'rooms' })).toMatchObject({ noChange: true });
    expect(await table()).toBe(before);
    expect(await muster.store.tables.countDocuments({ '_id.table': { $regex: /^r/ } })).toBe(2);
    expect(await muster.import(night('2', 'sector-b'), { feed: 'rooms' })).toMatchObject({
      memberships: { added: 1, removed: 1 },
    });
    expect(await table()).not.toBe(before);
  });

  test('R17: a column that is not mapped may change in every row, as the time of an export does, and no row is news', async () => {
    const before = await table();
    const [header, ...rows] = night('2', 'sector-b').trimEnd().split('\n');
    const stamped = rows.map((row) => row.replace(/,[^,]*$/, ',"exported, ""3:15"""'));
    const text = `${[header, ...stamped].join('\n')}\n`;
    expect(await muster.import(text, { feed: 'rooms' })).toMatchObject({ noChange: true, rows: { read: 301 } });
    // Where more than a hundredth of the rows are news, a new table is written.
    expect(await table()).toBe(before);
    expect(await muster.import(text.replace('t9,sector-a', 't9,sector-b'), { feed: 'rooms' })).toMatchObject({
      memberships: { added: 1, removed: 1 },
    });
    await muster.import(night('2', 'sector-b'), { feed: 'rooms' });
  });

  test('R17 R21: with shared authority, a cell that is not mapped is nothing new about the learner', async () => {
    await muster.feed(settings('shared').replace('name: rooms', 'name: desks'));
    const desks = (room: string) => `EmployeeID,Groups,Room\nd1,sector-a,${room}\nd2,sector-a,1\n`;
    await muster.import(desks('1'), { feed: 'desks' });
    const order = { group: await muster.group('sector-a'), learners: [await muster.learner('d1')] };
    await removeMembers(muster.context, { ...order, courses: 'keep', by: 'test' });
    expect(await muster.import(desks('2'), { feed: 'desks' })).toMatchObject({ noChange: true });
    expect(await muster.memberships('d1')).toEqual([]);
  });

  test('R17: a group that came leaves rows known; one whose External ID went lets every row be read', async () => {
    const { context } = muster;
    const group = await createGroup(context, { name: 'Newcomers', externalId: 'newcomers' as ExternalId, by: 'test' });
    const named = night('2', 'newcomers');
    expect(await muster.import(named, { feed: 'rooms' })).toMatchObject({ memberships: { added: 1, removed: 1 } });
    const before = await table();
    await createGroup(context, { name: 'Others', externalId: 'others' as ExternalId, by: 'test' });
    const elsewhere = named.replace('t7,sector-a,7', 't7,sector-a,"7, 8"');
    expect(await muster.import(elsewhere, { feed: 'rooms' })).toMatchObject({ noChange: true });
    expect(await table()).toBe(before);
    await editGroup(context, { group, set: { externalId: 'renamed' as ExternalId }, by: 'test' });
    // The row that named it is as it was, and names no group now.
    expect(await muster.import(named, { feed: 'rooms' })).toMatchObject({
      rows: { rejected: 1 },
      memberships: { removed: 0 },
    });
    expect(await table()).not.toBe(before);
    await muster.import(night('2', 'sector-b'), { feed: 'rooms' });
  });

  test('R17: the same rows in another order write no table; who is missing from yet another order has left', async () => {
    const shuffled = (text: string, by: number) => {
      const [header, ...rows] = text.trimEnd().split('\n');
      return `${[header, ...rows.map((_, at) => rows[(at * by) % rows.length])].join('\n')}\n`;
    };
    const before = await table();
    expect(await muster.import(shuffled(night('2', 'sector-b'), 5), { feed: 'rooms' })).toMatchObject({
      noChange: true,
      rows: { read: 301 },
    });
    expect(await table()).toBe(before);
    const without = night('2', 'sector-b').replace('t5,sector-a,5\n', '');
    expect(await muster.import(shuffled(without, 11), { feed: 'rooms' })).toMatchObject({
      learners: { deactivated: 1 },
      memberships: { added: 0, removed: 1 },
    });
    expect(await muster.memberships('t5')).toEqual([]);
    await muster.import(night('2', 'sector-b'), { feed: 'rooms' });
  });

  test('tables that killed runs left are dropped, those at work and those of a plan that is held stay', async () => {
    const { store } = muster;
    const done = (await muster.import(night('2', 'sector-b'), { feed: 'rooms' })).run;
    const held = (await muster.import('EmployeeID,Groups,Room\nt1,sector-a,1\n', { feed: 'rooms' })).run;
    const before = (await store.tables.distinct('_id.table' as never)) as string[];
    expect(before).toContain(`${held}-1`);
    const [left, part] = [`${done}-1`, `${held}-2`];
    for (const name of [left, part]) await writeTable(store, name, [new Uint8Array(16)]);
    await dropTables(muster.context);
    expect(new Set(await store.tables.distinct('_id.table' as never))).toEqual(new Set([...before, part]));
    await rejectRun(muster.context, held, 'test');
    await dropTables(muster.context);
    expect(await store.tables.distinct('_id.table' as never)).not.toContain(`${held}-1`);
  });

  test('R21: with shared authority a row is news once', async () => {
    await muster.feed(settings('shared'));
    await muster.import(night('3'), { feed: 'rooms' });
    await muster.import(night('4'), { feed: 'rooms' });
    const learner = await muster.learner('edited');
    const group = await muster.group('sector-a');
    await removeMembers(muster.context, { group, learners: [learner], courses: 'keep', by: 'test' });
    const later = night('4').replace(',7\n', ',7b\n');
    expect(await muster.import(later, { feed: 'rooms' })).toMatchObject({ noChange: true });
    expect(await muster.memberships('edited')).toEqual([]);
  });
});
