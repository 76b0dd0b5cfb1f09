import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { UsageError } from '../../../src/domain/errors.ts';
import { DEFAULT_LIMITS } from '../../../src/domain/guard.ts';
import { policyOf, readFeed, readFeedFile } from '../../../src/settings/feed.ts';

const BASE = 'name: hr\nlearner: { externalId: Nr }\n';

function refusal(text: string): string {
  try {
    readFeedFile(text, 'hr.yaml');
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
  throw new Error('the file was accepted');
}

describe('a feed file that is right', () => {
  test('the example in config/feeds is one', () => {
    const feed = readFeedFile(readFileSync('config/feeds/hr.example.yaml', 'utf8'), 'hr.example.yaml');
    expect(feed.source).toEqual({ kind: 'file', path: 'inbox/hr.csv' });
    expect(feed.learner.status).toEqual({ column: 'Status', active: ['A', 'active'], left: ['T', 'terminated'] });
    expect(feed.groups[1]).toEqual({ column: 'Department', prefix: 'dept-' });
  });

  test('gets every default that it does not speak of', () => {
    const feed = readFeedFile(BASE, 'hr.yaml');
    expect(feed).toMatchObject({
      source: { kind: 'upload' },
      schedule: { timeZone: 'UTC', catchUpHours: 12 },
      mode: 'full',
      format: { type: 'csv', encoding: 'auto', delimiter: 'auto' },
      groups: [],
      window: { dateFormat: 'auto' },
    });
    expect(policyOf(feed)).toEqual({
      feed: 'hr',
      mode: 'full',
      unknownGroup: 'reject',
      unknownLearner: 'create',
      match: ['externalId'],
      leaver: { courses: 'expire', graceDays: 0 },
      moved: { courses: 'expire' },
      authority: 'feed',
      limits: DEFAULT_LIMITS,
    });
  });

  test('names columns in short and in long form, to the same effect', () => {
    const long = readFeedFile('name: hr\nlearner: { externalId: { column: Nr }, email: { column: Mail } }', 'hr.yaml');
    expect(readFeedFile('name: hr\nlearner: { externalId: Nr, email: Mail }', 'hr.yaml')).toEqual(long);
  });

  test('switches limits off and sets them', () => {
    const { guard } = readFeedFile(
      `${BASE}guard: { purged: off, rowsPercent: { min: 90 }, emptiedGroups: 2 }`,
      'hr.yaml',
    );
    expect(guard).toMatchObject({
      purged: null,
      rowsPercent: { min: 90, max: 200 },
      emptiedGroups: 2,
      createdPercent: 50,
    });
    expect(readFeedFile(`${BASE}guard: { rowsPercent: off }`, 'hr.yaml').guard.rowsPercent).toBeNull();
  });

  test('may be JSON, and its settings read back as they are stored', () => {
    const feed = readFeedFile(
      '{ "name": "hr", "learner": { "externalId": "Nr" }, "format": { "delimiter": "tab" } }',
      'hr.json',
    );
    expect(feed.format.delimiter).toBe('\t');
    expect(readFeed({ name: 'hr', learner: { externalId: 'Nr' }, format: { delimiter: 'tab' } })).toEqual(feed);
  });

  test('preset anewspring gives a mapping, over which the file lays its own keys', () => {
    const feed = readFeedFile('name: lms\npreset: anewspring\nlearner: { email: Mail }', 'hr.yaml');
    expect(feed.learner.externalId.column).toBe('ExternalID');
    expect(feed.learner.email).toEqual({ column: 'Mail', optional: false });
    expect(feed.learner.attributes.middleName).toEqual({ column: 'MiddleName', optional: true });
    expect(feed.groups).toEqual([{ column: 'Groups', separator: ';', prefix: '' }]);
  });
});

describe('a feed file that is wrong', () => {
  test('is refused with line, column, key path and the nearest known key', () => {
    expect(refusal('name: hr\nlearner:\n  externalld: Nr\n')).toContain(
      'hr.yaml:3:3 learner.externalld is not a known key. Did you mean `externalId`?',
    );
    expect(refusal(`${BASE}groups:\n  - { column: G, seperator: ";" }`)).toContain(
      'hr.yaml:4:18 groups[0].seperator is not a known key. Did you mean `separator`?',
    );
    expect(refusal(`${BASE}guard: { membershipsLost: 3 }`)).toContain('Did you mean `membershipsLostPercent`?');
    expect(refusal(`${BASE}mode: ful`)).toContain(
      'hr.yaml:3:7 mode cannot be "ful"; possible are full, delta. Did you mean `full`?',
    );
  });

  test('is told all of its problems at once, in the order of the file', () => {
    const text = refusal(
      'name: HR\nmood: full\nlearner: { externalId: 12 }\nmatch: [externalId, email]\nmode: delta\n',
    );
    expect(text).toContain('Mend these 5 places');
    const order = [
      'action is missing',
      'name must be',
      'mood is not',
      'learner.externalId must be',
      'match names email',
    ];
    const found = order.map((piece) => text.indexOf(piece));
    expect(found.every((at) => at > 0)).toBe(true);
    expect(found).toEqual([...found].sort((a, b) => a - b));
  });

  test.each([
    ['name: manual\nlearner: { externalId: Nr }', 'name cannot be manual'],
    ['name: -x\nlearner: { externalId: Nr }', 'name must be of a–z'],
    [
      `${BASE}source: { sftp: host }`,
      'sftp is not available in this version; available are file, directory and upload',
    ],
    [`${BASE}source: { file: a, directory: b }`, 'source must name exactly one of file, directory and upload'],
    [`${BASE}preset: oneroster`, 'preset is not available in this version; available is anewspring'],
    [`${BASE}preset: workday`, 'preset is no known preset'],
    [`${BASE}format: { type: xlsx }`, 'format.type is not available in this version'],
    [`${BASE}format: { delimiter: x }`, 'format.delimiter must be auto'],
    [`${BASE}schedule: { cron: daily }`, 'schedule.cron is no cron expression'],
    [`${BASE}schedule: { timeZone: Europa/Amsterdam }`, 'schedule.timeZone is no time zone'],
    [`${BASE}window: { from: A, dateFormat: DD-MM }`, 'window.dateFormat must be auto, iso, or a pattern'],
    [`${BASE}match: [email]`, 'match must be [externalId] or [externalId, email]'],
    [`${BASE}action: Act`, 'action belongs to mode: delta only'],
    [`${BASE}groups: [{ column: G, name: N }]`, 'name and parent are of use only with unknownGroup: create'],
    [`${BASE}guard: { rowsPercent: { min: 9, max: 8 } }`, 'guard.rowsPercent min is above max'],
    [`${BASE}notify: { webhook: "ftp://x" }`, 'notify.webhook must be an http or https address'],
    ['name: hr\nlearner: { externalId: Nr, status: { column: S, left: [0] } }', 'put it in quotes'],
    [
      'name: hr\nlearner: { externalId: Nr, status: { column: S, active: [A], left: [A] } }',
      'the same value as active and as left',
    ],
    ['name: hr\nlearner: { externalId: Nr, attributes: { __proto__: X } }', '__proto__ cannot be a key'],
    ['name: hr\nlearner: { externalId: Nr, attributes: { "a.b": X } }', 'is no name for an attribute'],
    ['name: hr\nname: it\nlearner: { externalId: Nr }', 'hr.yaml:2:1 Map keys must be unique'],
    ['name: [', 'hr.yaml:1:'],
    ['', 'The file must be keys and values'],
    ['- a', 'The file must be keys and values'],
  ])('%j: %s', (text, expected) => {
    expect(refusal(text)).toContain(expected);
  });

  test('an alias bomb is refused rather than followed', () => {
    const bomb = [
      'a: &a [x,x,x,x,x,x,x,x,x]',
      ...'bcdefgh'.split('').map(
        (name, at) =>
          `${name}: &${name} [${'abcdefg'
            .slice(at, at + 1)
            .replace(/./, '*$&,')
            .repeat(9)}]`,
      ),
    ];
    expect(refusal(bomb.join('\n'))).toContain('is not a feed that can be used');
  });
});
