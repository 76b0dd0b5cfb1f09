import { beforeAll, describe, expect, test } from 'vitest';
import type { LearnerId } from '../../../src/domain/ids.ts';
import type { LearnerView } from '../../../src/run/views/learnerView.ts';
import type { ResultView } from '../../../src/run/views/resultView.ts';
import { openStore } from '../../../src/store/store.ts';
import { FEED, rows, useCommandLine } from './commandLine.ts';

const muster = useCommandLine();
type Result = ResultView & { readonly lines: { line: number | null; text: string; outcome: string }[] };

beforeAll(async () => {
  await muster.run(`feeds apply ${muster.file('hr.yaml', FEED)}`);
  for (const group of ['all', 'a', 'b', 'c']) {
    await muster.run(
      `groups create ${group.toUpperCase()} --external-id ${group}${group === 'all' ? '' : ' --parent all'}`,
    );
  }
  for (const course of ['everyone', 'one', 'two', 'both'])
    await muster.run(`courses add ${course} --external-id ${course}`);
  await muster.run('groups link all everyone');
  await muster.run('groups link a one both');
  await muster.run('groups link b two both');
  muster.file('hr.csv', rows('001 c', '002 c', '003 c', '004 c'));
  await muster.run('import hr.csv --feed hr');
});

/** `course: status` of a learner, a direct grant marked with `*`, `n%` = progress. */
async function courses(learner: string): Promise<string[]> {
  const { subscriptions } = await muster.json<LearnerView>(`learners show ${learner}`);
  return subscriptions.map(
    ({ course, status, direct, progress }) =>
      `${course}: ${status}${direct ? '*' : ''}${progress ? ` ${progress.completion}%` : ''}`,
  );
}

describe('putting learners into a group', () => {
  test('learners are named by External ID, id or e-mail address', async () => {
    const { id } = await muster.json<LearnerView>('learners show 002');
    const result = await muster.json<Result>(`groups add a 001 ${id} 003@EXAMPLE.org`);
    expect(result).toMatchObject({
      memberships: { added: 3, removed: 0 },
      subscriptions: { subscribed: 6 },
      skipped: [],
    });
    expect(result.lines.map(({ outcome }) => outcome)).toEqual(['added', 'added', 'added']);
    expect(await courses('003')).toEqual(['both: active', 'everyone: active', 'one: active']);
  });

  test('a list has an outcome for each line; with --strict an unknown one is exit 4', async () => {
    const list = '001\n\n 004 \nnobody\r\n004@example.org\n';
    const result = await muster.json<Result>('groups add a --file - --strict', 4, list);
    expect(result.lines).toEqual([
      { line: 1, text: '001', outcome: 'already' },
      { line: 3, text: '004', outcome: 'added' },
      { line: 4, text: 'nobody', outcome: 'unknown' },
      { line: 5, text: '004@example.org', outcome: 'repeated' },
    ]);
    expect(result.memberships.added).toBe(1);
  });

  test('an unknown learner among the arguments refuses all', async () => {
    const before = await muster.run('digest');
    await muster.run('groups add b 001 nobody', 2);
    expect(await muster.run('digest')).toBe(before);
  });

  test('groups members lists them with their sources; --effective adds the groups below', async () => {
    const direct =
      await muster.json<{ externalId: string; email: string; group: string; sources: unknown[] }[]>('groups members a');
    expect(direct.map(({ externalId }) => externalId)).toEqual(['001', '002', '003', '004']);
    expect(direct[0]).toEqual({
      id: expect.stringMatching(/^id:/),
      externalId: '001',
      email: '001@example.org',
      group: 'a',
      sources: [{ source: 'manual', validFrom: null, validUntil: null }],
    });
    expect(await muster.json('groups members all')).toEqual([]);
    expect(await muster.json<unknown[]>('groups members all --effective')).toHaveLength(8);
  });
});

describe('taking learners out', () => {
  test('R6: keep, the default, leaves what nothing else gives as a direct grant', async () => {
    const result = await muster.json<Result>('groups remove a 001');
    expect(result).toMatchObject({ memberships: { removed: 1 }, subscriptions: { kept: 2 } });
    expect(await courses('001')).toEqual(['both: active*', 'everyone: active', 'one: active*']);
  });

  test('R7: expire ends what nothing else gives; a second time the line says not a member', async () => {
    expect(await muster.json<Result>('groups remove a 002 --courses expire')).toMatchObject({
      subscriptions: { expired: 2 },
    });
    expect(await courses('002')).toEqual(['both: expired', 'everyone: active', 'one: expired']);
    const again = await muster.json<Result>('groups remove a 002 --courses expire');
    expect(again.lines).toEqual([{ line: null, text: '002', outcome: 'not a member' }]);
  });

  test('R8, R11: a purge says beforehand what it would delete, needs --yes, and skips what another group gives', async () => {
    await muster.run('groups add b 003');
    await muster.run('progress record 003 one --completion 50 --score 80 --activity Quiz');
    await muster.run('progress record 003 both --completion 25');
    const stillGiven = [
      { learner: '003', course: 'everyone', through: ['all'] },
      { learner: '003', course: 'both', through: ['b'] },
    ];
    const preview = await muster.json('groups remove a 003 --courses purge --preview');
    expect(preview).toMatchObject({ learners: 1, results: 1, counts: { purged: 1 }, skipped: stillGiven });
    const refused = await muster.call(['groups', 'remove', 'a', '003', '--courses', 'purge']);
    expect(refused).toMatchObject({
      exit: 2,
      stdout: '',
      stderr: expect.stringContaining('1 result would be deleted'),
    });
    expect(await courses('003')).toContain('one: active 50%');
    const result = await muster.json<Result>('groups remove a 003 --courses purge --yes');
    expect(result).toMatchObject({ subscriptions: { purged: 1 }, skipped: stillGiven });
    const changes = await muster.run(`runs changes ${result.run}`);
    expect(changes).toContain('  one: purged\n');
    expect(changes).toContain('  both: purge-skipped, b still gives it\n');
    expect(await courses('003')).toEqual(['both: active 25%', 'everyone: active', 'two: active']);
  });

  test('--all takes everybody out', async () => {
    expect(await muster.json<Result>('groups remove a --all --courses expire')).toMatchObject({
      memberships: { removed: 1 },
    });
    expect(await muster.json('groups members a')).toEqual([]);
    await muster.run('groups remove a 001 --all', 2);
  });

  test('R9: a move touches nothing that both groups give', async () => {
    await muster.run('groups add a 004');
    await muster.run('progress record 004 both --completion 75');
    const before = await muster.json<LearnerView>('learners show 004');
    const result = await muster.json<Result>('learners move 004 --from a --to b');
    expect(result).toMatchObject({
      memberships: { added: 1, removed: 1 },
      subscriptions: { subscribed: 1, expired: 1 },
    });
    const after = await muster.json<LearnerView>('learners show 004');
    const both = ({ subscriptions }: LearnerView) =>
      subscriptions.map(({ through: _, ...rest }) => rest).find(({ course }) => course === 'both');
    expect(both(after)).toEqual(both(before));
    await muster.run('learners move 004 --from a --to b', 2);
  });
});

describe('structure', () => {
  test('a group is created with all that it has; a subenvironment that nobody made is refused, and "" takes all away', async () => {
    const create = ['groups', 'create', 'Full', '--external-id', 'full', '--parent', 'all', '--instructor', 'ines'];
    const { exit, stderr } = await muster.call([...create, '--subenvironment', 'nort']);
    expect([exit, stderr]).toEqual([2, expect.stringContaining('muster subenvironments create "nort"')]);
    await muster.run('subenvironments create north');
    await muster.call([...create, '--subenvironment', 'north']);
    expect(await muster.json('groups show full')).toMatchObject({ instructors: ['ines'], subenvironments: ['north'] });
    await muster.run('groups edit full --subenvironment north nort', 2);
    await muster.call(['groups', 'edit', 'full', '--subenvironment', '', '--instructor', '']);
    expect(await muster.json('groups show full')).toMatchObject({ instructors: [], subenvironments: [] });
    await muster.run('groups delete full');
  });

  test('groups show has the shape of the interface', async () => {
    expect(await muster.json('groups show b')).toEqual({
      id: expect.stringMatching(/^id:\d+$/),
      externalId: 'b',
      name: 'B',
      parent: 'all',
      children: [],
      instructors: [],
      subenvironments: [],
      courses: [
        { course: 'both', inherited: false },
        { course: 'everyone', inherited: true },
        { course: 'two', inherited: false },
      ],
      members: { direct: 2, effective: 2 },
    });
    expect(await muster.run('groups tree')).toContain('all  ALL  → everyone\n  a  A  → one, both\n');
  });

  test('R10: unlinking with keep leaves direct grants; the preview says who would lose it', async () => {
    expect(await muster.json('groups unlink b two --preview')).toEqual({ learners: 2, courses: 1, results: 0 });
    const unlinked = await muster.json<Result>('groups unlink b two --courses keep');
    expect(unlinked).toMatchObject({ subscriptions: { kept: 2 } });
    expect(await courses('003')).toContain('two: active*');
    expect(await muster.run(`runs changes ${unlinked.run}`)).toBe('003\n  two: kept\n004\n  two: kept\n');
  });

  test('R10: taken out of its parent, a group gives no longer what the parent gives', async () => {
    const result = await muster.json<Result>('groups move b --top');
    expect(result.subscriptions.expired).toBe(0);
    await muster.run('groups remove c 003 --courses expire');
    expect(await courses('003')).toContain('everyone: expired');
    await muster.run('groups move b --parent all');
    expect(await courses('003')).toContain('everyone: active');
    expect(await muster.call(['groups', 'move', 'all', '--parent', 'b'])).toMatchObject({
      exit: 2,
      stderr: expect.stringContaining('circle'),
    });
  });

  test('edit changes name and External ID; delete takes the members out', async () => {
    await muster.run('groups edit b --name Berlin --external-id berlin --instructor ann ben');
    expect(await muster.json('groups show berlin')).toMatchObject({ name: 'Berlin', instructors: ['ann', 'ben'] });
    await muster.run('groups delete berlin --courses purge', 2);
    expect(await muster.json<Result>('groups delete berlin --courses expire')).toMatchObject({
      memberships: { removed: 2 },
    });
    await muster.run('groups show berlin', 2);
  });
});

describe('courses and learners', () => {
  test('grant and revoke: a direct grant stands without a group, and goes with revoke', async () => {
    expect((await muster.json<Result>('courses grant one 002')).lines[0]?.outcome).toBe('granted');
    expect((await muster.json<Result>('courses grant one 002')).lines[0]?.outcome).toBe('already');
    expect(await courses('002')).toContain('one: active*');
    expect(await muster.json<unknown[]>('courses subscribers one')).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ externalId: '002', status: 'active', direct: true, through: [] }),
      ]),
    );
    await muster.run('courses revoke one 002 --courses keep', 2);
    expect(await muster.json('courses revoke one 002 --preview')).toMatchObject({
      learners: 1,
      counts: { expired: 1 },
    });
    expect(await muster.run('courses revoke one 002 --preview')).toContain('1 direct grant would end');
    const revoked = await muster.json<Result>('courses revoke one 002');
    expect(revoked.subscriptions.expired).toBe(1);
    expect(await muster.run(`runs changes ${revoked.run}`)).toBe('002\n  one: revoked\n  one: expired\n');
    expect(await courses('002')).toContain('one: expired');
  });

  test('courses list counts groups and subscriptions', async () => {
    const list = await muster.json<{ externalId: string; groups: string[]; subscriptions: object }[]>('courses list');
    expect(list.find(({ externalId }) => externalId === 'everyone')).toMatchObject({
      groups: ['all'],
      subscriptions: { active: expect.any(Number) },
    });
    expect(list).toEqual(expect.arrayContaining([await muster.json('courses show everyone')]));
  });

  test('learners are added and edited by hand; an e-mail address that another holds is refused', async () => {
    await muster.run(
      'learners add --external-id 900 --email nine@example.org --first-name Nina --attribute department=Legal',
    );
    expect(await muster.json('learners show nine@example.org')).toMatchObject({
      externalId: '900',
      attributes: { department: 'Legal' },
      status: 'active',
    });
    await muster.run('learners edit 900 --email 001@example.org', 2);
    await muster.run('learners edit 900 --first-name "" --last-name Nine --status inactive');
    expect(await muster.json('learners show 900')).toMatchObject({
      firstName: null,
      lastName: 'Nine',
      status: 'inactive',
    });
    const list = await muster.json<{ externalId: string }[]>('learners list --status inactive');
    expect(list.map(({ externalId }) => externalId)).toEqual(['900']);
  });

  test('progress show lists results; a score out of range is exit 2', async () => {
    await muster.run('progress record 001 one --completion 50 --score 80 --activity Quiz');
    expect(await muster.json('progress show 001')).toEqual([
      { course: 'one', completion: 50, score: null, activities: [{ name: 'Quiz', completion: 50, score: 80 }] },
    ]);
    await muster.run('progress record 001 one --completion 101', 2);
  });

  test('verify finds nothing, and drift made behind its back is exit 3 until it is repaired', async () => {
    expect(await muster.json('verify')).toMatchObject({ drift: [] });
    const { id } = await muster.json<LearnerView>('learners show 001');
    const store = await openStore(muster.env.MONGODB_URI as string);
    await store.subscriptions.updateOne({ _id: Number(id.slice(3)) as LearnerId }, { $set: { items: [] } });
    await store.close();
    const drift = [{ learner: '001', course: 'everyone', found: 'no subscription', expected: 'active' }];
    expect(await muster.json('verify', 3)).toMatchObject({ drift, repaired: 0 });
    expect(await muster.json('verify --repair', 3)).toMatchObject({ drift, repaired: 1 });
    expect(await muster.json('verify')).toMatchObject({ drift: [] });
  });
});

describe('export', () => {
  test('learners come one a line, by External ID, each as learners show gives it', async () => {
    await muster.run('learners add --email zero@example.org');
    const lines = (await muster.run('export learners'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as LearnerView);
    expect(lines.map(({ externalId }) => externalId)).toEqual(['001', '002', '003', '004', '900', null]);
    expect(lines[0]).toEqual(await muster.json('learners show 001'));
    const groups = (await muster.run('export groups')).trim().split('\n');
    expect(JSON.parse(groups[0] as string)).toEqual(await muster.json('groups show a'));
  });

  test('a cell that a spreadsheet would take for a formula is defused', async () => {
    await muster.run('learners add --external-id 901 --first-name "=HYPERLINK(1)" --last-name "a,b"');
    expect(await muster.run('export learners --format csv')).toContain('901,,\'=HYPERLINK(1),"a,b",active,');
    const csv = await muster.run('export subscriptions --format csv');
    expect(csv.split('\r\n')[0]).toBe('learner,email,course,status,through,direct,since,completion,score');
  });
});
