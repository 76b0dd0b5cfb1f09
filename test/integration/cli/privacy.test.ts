import { beforeAll, describe, expect, test } from 'vitest';
import { FEED, rows, useCommandLine } from './commandLine.ts';

const muster = useCommandLine();

beforeAll(async () => {
  await muster.run(`feeds apply ${muster.file('hr.yaml', FEED)}`);
  await muster.run('courses add Safety --external-id safety');
  await muster.run('groups create A --external-id a');
  await muster.run('groups link a safety');
  muster.file('hr.csv', rows('001 a', '002 a', '003 a', '004 a'));
  await muster.run('import hr.csv --feed hr');
  await muster.run('progress record 002 safety --completion 80');
});

describe('learners export', () => {
  test('all that is held of one person is one JSON document', async () => {
    const held = JSON.parse(await muster.run('learners export 002')) as Record<string, unknown>;
    expect(held).toMatchObject({
      learner: { externalId: '002', email: '002@example.org', memberships: [{ group: 'a' }] },
      names: { externalIds: ['002'], emails: ['002@example.org'] },
      feeds: [{ feed: 'hr', leftAt: null }],
      results: [{ course: 'safety', completion: 80 }],
      history: [{ why: 'hr', created: true, rows: [3] }, { step: 'subscribe' }],
      rejectedRows: [],
    });
  });
});

describe('learners erase', () => {
  test('says beforehand what goes, and asks', async () => {
    expect(await muster.run('learners erase 002 --preview')).toContain('1 membership, 1 subscription, 1 result');
    expect(await muster.json('learners erase 002 --preview')).toMatchObject({ memberships: 1, results: 1 });
    const { exit, stderr } = await muster.call(['learners', 'erase', '002']);
    expect(exit).toBe(2);
    expect(stderr).toContain('An erasure cannot be taken back, so it is to be confirmed; nothing was changed.');
    await muster.run('learners show 002');
  });

  test('with --yes erases; the person is not found, and not imported again, until unerase', async () => {
    expect(await muster.json('learners erase 002 --yes --reason "asked for it"')).toMatchObject({
      waitsFor: [],
      erased: { memberships: 1 },
    });
    await muster.run('learners show 002', 2);
    expect(await muster.json('import hr.csv --feed hr')).toMatchObject({
      noChange: true,
      rows: { read: 4, accepted: 3, rejected: 0 },
      problems: [{ code: 'erased', count: 1 }],
    });
    expect((await muster.call(['learners', 'add', '--external-id', '002'])).stderr).toContain(
      'muster learners unerase',
    );
    await muster.run('learners unerase 999', 2);
    expect(await muster.run('learners unerase 002')).toContain('The erasure was lifted');
    expect(await muster.json('import hr.csv --feed hr')).toMatchObject({ learners: { created: 1 } });
    expect(await muster.json('learners show 002')).toMatchObject({ subscriptions: [{ progress: null }] });
    expect(await muster.json('verify')).toMatchObject({ drift: [], audit: { breaks: [] } });
  });
});

describe('many at once', () => {
  test('groups import: parents in any order, and an outcome for each', async () => {
    muster.file(
      'groups.csv',
      'externalId;name;parent;courses\nb1;"B; one";b;safety\nb;B;;\na;A;;\nx;X;nowhere;\nc;C;d;\nd;D;c;\n',
    );
    expect(await muster.json('groups import groups.csv --strict', 4)).toEqual({
      lines: [
        { name: 'b1', outcome: 'created' },
        { name: 'b', outcome: 'created' },
        { name: 'a', outcome: 'already' },
        { name: 'x', outcome: 'unknown parent nowhere, or a circle' },
        { name: 'c', outcome: 'unknown parent d, or a circle' },
        { name: 'd', outcome: 'unknown parent c, or a circle' },
      ],
    });
    expect(await muster.json('groups show b1')).toMatchObject({
      name: 'B; one',
      parent: 'b',
      courses: [{ course: 'safety', inherited: false }],
    });
  });

  test('learners import: columns that are no names are attributes', async () => {
    const people =
      'externalId,email,firstName,lastName,city\n800,ada@x.org,Ada,L,Ulm\n801,001@example.org,,,\n001,,,,\n800,,,,\n';
    expect(await muster.json('learners import -', 0, people)).toEqual({
      lines: [
        { name: '800', outcome: 'created' },
        { name: '801', outcome: 'its e-mail address is held by another learner' },
        { name: '001', outcome: 'already' },
        { name: '800', outcome: 'repeated' },
      ],
    });
    expect(await muster.json('learners show 800')).toMatchObject({ email: 'ada@x.org', attributes: { city: 'Ulm' } });
    expect((await muster.call(['learners', 'import', 'hr.csv', '--json'])).exit).toBe(2);
  });
});

describe('subenvironments', () => {
  test('are made, linked, given to resellers, and deleted with a word on what that touches', async () => {
    await muster.run('subenvironments create north');
    expect((await muster.call(['subenvironments', 'create', 'north'])).stderr).toContain('exists already');
    await muster.run('subenvironments link north a b');
    await muster.run('subenvironments unlink north b');
    await muster.run('users add rik@example.org --role reseller');
    await muster.run('users add olga@example.org --role operator');
    await muster.run('subenvironments allow north rik@example.org');
    expect((await muster.call(['subenvironments', 'allow', 'north', 'olga@example.org'])).stderr).toContain(
      'only resellers',
    );
    await muster.run('courses add Local --external-id local --subenvironment north');
    expect(await muster.json('subenvironments show north')).toMatchObject({
      groups: ['a'],
      courses: ['local'],
      users: ['rik@example.org'],
    });
    expect(await muster.json('subenvironments list')).toHaveLength(1);
    const asked = await muster.call(['subenvironments', 'delete', 'north']);
    expect([asked.exit, asked.stderr]).toMatchObject([
      2,
      expect.stringContaining('1 group would be unlinked, 1 course'),
    ]);
    await muster.run('subenvironments delete north --yes');
    await muster.run('subenvironments show north', 2);
    expect(await muster.json('groups show a')).toMatchObject({ subenvironments: [] });
    expect(await muster.json('courses show local')).toMatchObject({ subenvironment: null });
    expect(await muster.json<object[]>('users list')).toContainEqual(
      expect.objectContaining({ login: 'rik@example.org', subenvironments: [] }),
    );
  });
});
