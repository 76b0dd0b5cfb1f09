import { describe, expect, test } from 'vitest';
import type { RowClaim } from '../../../src/domain/claim.ts';
import { compileMapping } from '../../../src/feed/mapping.ts';
import { readFeedFile } from '../../../src/settings/feed.ts';

const HEADERS = ['Nr', 'Mail', 'First', 'Name', 'State', 'Dept', 'Groups', 'From', 'Until', 'Extra'];
const SETTINGS = `name: hr
learner:
  externalId: Nr
  email: Mail
  firstName: First
  lastName: Name
  status: { column: State, active: [A], left: [T] }
  attributes: { department: Dept }
groups: [{ column: Groups, separator: "+" }, { column: Dept, prefix: "dept-" }]
window: { from: From, until: Until }
`;
const GOOD = {
  Nr: '007',
  Mail: 'ann@example.com',
  First: 'Ann',
  Name: 'Lee',
  State: 'A',
  Dept: 'IT',
  Groups: 'g1+g2',
  From: '',
  Until: '',
  Extra: '',
};

function mapRow(cells: readonly string[], settings = SETTINGS, headers: readonly string[] = HEADERS) {
  return compileMapping(readFeedFile(settings, 'hr.yaml'), headers).row(cells, 17);
}

function map(cells: Partial<typeof GOOD>, settings = SETTINGS) {
  const row = { ...GOOD, ...cells };
  return mapRow(Object.values(row), settings);
}

describe('a row that can be used', () => {
  test('becomes a claim; leading zeros stay', () => {
    expect(map({ From: '2026-01-01', Until: '2026-02-01' })).toEqual({
      row: 17,
      externalId: '007',
      email: 'ann@example.com',
      firstName: 'Ann',
      lastName: 'Lee',
      attributes: { department: 'IT' },
      status: 'active',
      action: 'add',
      groups: [{ externalId: 'g1' }, { externalId: 'g2' }, { externalId: 'dept-IT' }],
      window: { from: new Date('2026-01-01'), until: new Date('2026-02-01') },
    });
  });

  test('R12: is trimmed and made NFC', () => {
    expect(map({ Nr: ' 7\u00a0', Name: ' Zoe\u0308 ', Groups: 'cafe\u0301' })).toMatchObject({
      externalId: '7',
      lastName: 'Zoë',
      groups: [{ externalId: 'café' }, { externalId: 'dept-IT' }],
    });
  });

  test('names each group once, and no empty ones', () => {
    expect(map({ Groups: ' g1 + + g1+g2+', Dept: ' ' })).toMatchObject({
      groups: [{ externalId: 'g1' }, { externalId: 'g2' }],
    });
  });

  test('R20: says who has left', () => {
    expect(map({ State: 'T' })).toMatchObject({ status: 'left' });
  });

  test('says nothing of what the feed does not map', () => {
    const claim = mapRow(['7'], 'name: hr\nlearner: { externalId: Nr }', ['Nr']);
    expect(claim).toEqual({
      row: 17,
      externalId: '7',
      attributes: {},
      status: 'active',
      action: 'add',
      groups: [],
      window: {},
    });
  });

  test('may have empty cells too many', () => {
    expect(mapRow([...Object.values(GOOD), '', ' '])).toMatchObject({ externalId: '007' });
  });

  test('R13: of a delta feed adds or removes', () => {
    const delta = `${SETTINGS}mode: delta\naction: { column: Extra, add: [plus], remove: [minus] }`;
    expect(map({ Extra: 'minus' }, delta)).toMatchObject({ action: 'remove' });
    expect(map({ Extra: 'plus' }, delta)).toMatchObject({ action: 'add' });
    expect(map({ Extra: 'x' }, delta)).toMatchObject({ code: 'unknown-action', externalId: '007' });
  });

  test('R19: gives names and parents of groups to create', () => {
    const create =
      'name: hr\nlearner: { externalId: Nr }\nunknownGroup: create\ngroups: [{ column: G, separator: "+", prefix: "d-", name: N, parent: { column: P, prefix: "p-" } }]';
    const headers = ['Nr', 'G', 'N', 'P'];
    expect(mapRow(['1', 'a+b', 'Alpha+Beta', 'x'], create, headers)).toMatchObject({
      groups: [
        { externalId: 'd-a', name: 'Alpha', parent: 'p-x' },
        { externalId: 'd-b', name: 'Beta', parent: 'p-x' },
      ],
    });
    const groupsOf = (...cells: string[]) => (mapRow(['1', ...cells], create, headers) as RowClaim).groups;
    // A blank place gives no name and no parent; one parent stands for all only where no separator stands beside it.
    expect(groupsOf('a+b', 'Alpha+', '+x')).toEqual([
      { externalId: 'd-a', name: 'Alpha' },
      { externalId: 'd-b', parent: 'p-x' },
    ]);
    expect(groupsOf('a+b', '', 'x+')).toEqual([{ externalId: 'd-a', parent: 'p-x' }, { externalId: 'd-b' }]);
    expect(groupsOf('a++c', 'Alpha++Gamma', '')).toEqual([
      { externalId: 'd-a', name: 'Alpha' },
      { externalId: 'd-c', name: 'Gamma' },
    ]);
    expect(groupsOf('a+b+', 'Alpha+Beta', 'x+y')).toEqual([
      { externalId: 'd-a', name: 'Alpha', parent: 'p-x' },
      { externalId: 'd-b', name: 'Beta', parent: 'p-y' },
    ]);
    expect(mapRow(['1', 'a+b', 'Alpha', ''], create, headers)).toMatchObject({
      code: 'uneven-group-names',
      externalId: '1',
      groups: ['d-a', 'd-b'],
    });
  });
});

describe('R15: a row that cannot be used says why, and whom it names all the same', () => {
  const named = { row: 17, externalId: '007', email: 'ann@example.com', groups: ['g1', 'g2', 'dept-IT'] };

  test.each([
    ['unknown-status', { State: 'X' }, 'column State holds "X", and possible are "A", "T"'],
    ['unknown-status', { State: '' }, 'column State holds ""'],
    ['bad-date', { From: '2026-02-30' }, 'column From holds "2026-02-30", which is not a day of the calendar'],
    ['bad-date', { Until: '03/04/2026' }, 'column Until holds "03/04/2026", which may be either of two days'],
    ['empty-window', { From: '2026-02-01', Until: '2026-02-01' }, 'the window ends'],
  ])('%s: %j', (code, cells, fact) => {
    const rejection = map(cells);
    expect(rejection).toMatchObject({ ...named, code });
    expect((rejection as { message: string }).message).toContain(`Row 17: `);
    expect((rejection as { message: string }).message).toContain(fact);
  });

  test('no-external-id: with e-mail and groups', () => {
    const rejection = map({ Nr: ' ' });
    expect(rejection).toMatchObject({ code: 'no-external-id', email: named.email, groups: named.groups });
    expect(rejection).not.toHaveProperty('externalId', '007');
  });

  test.each([
    'ann',
    'ann@',
    '@example.com',
    'a b@example.com',
    'ann@example',
    'ann@example..com',
    'a@b@c.nl',
    `${'a'.repeat(250)}@b.nl`,
  ])('bad-email: %s', (Mail) =>
    expect(map({ Mail })).toMatchObject({ code: 'bad-email', externalId: '007', groups: named.groups }),
  );

  test('an empty e-mail says that there is none', () => {
    expect(map({ Mail: '' })).toMatchObject({ email: '' });
  });

  test('bad-external-id: control characters and line breaks, in learners and groups', () => {
    expect(map({ Nr: '1\u00002' })).toMatchObject({ code: 'bad-external-id', email: named.email });
    expect(map({ Nr: '1\u00002' })).not.toHaveProperty('externalId');
    expect(map({ Groups: 'g1+g\n2' })).toMatchObject({ code: 'bad-external-id', externalId: '007' });
  });

  test('too-few-columns and too-many-columns trust the first cell and a single e-mail address only', () => {
    expect(mapRow(['007', 'x', 'ann@example.com'])).toMatchObject({
      code: 'too-few-columns',
      externalId: '007',
      email: 'ann@example.com',
      groups: [],
    });
    expect(mapRow([...Object.values(GOOD), 'x'])).toMatchObject({ code: 'too-many-columns', externalId: '007' });
    const shifted = mapRow(['x', 'y', '7', 'a@b.nl', 'c@d.nl'], 'name: hr\nlearner: { externalId: Nr, email: Mail }', [
      'Name',
      'Nr',
      'Mail',
      'Town',
    ]);
    expect(shifted).toMatchObject({ code: 'too-many-columns', groups: [] });
    expect(shifted).not.toHaveProperty('externalId');
    expect(shifted).not.toHaveProperty('email');
  });

  test('a row of the wrong length with a line break in it may have swallowed others, so it names nobody', () => {
    const rejection = mapRow(['007', 'x;y\n008;z']);
    expect(rejection).toMatchObject({ code: 'too-few-columns', groups: [] });
    expect(rejection).not.toHaveProperty('externalId');
  });
});
