import { beforeAll, describe, expect, test } from 'vitest';
import { rejectRun } from '../../../../src/run/approval.ts';
import { recordProgress } from '../../../../src/run/progress.ts';
import { COMPANY, HR, useMuster } from '../../../harness.ts';
import { bytesOf, rowsOf } from './asking.ts';

const muster = useMuster();
const rows = (yaml: string, within?: Parameters<typeof rowsOf>[2]) => rowsOf(muster, yaml, within);
const HEADER = 'EmployeeID,Mail,FirstName,LastName,Status,Department,Groups\n';
const FEED = HR.replace('groups:', '  attributes: { department: Department }\ngroups:');
const DAY = 86_400_000;

/**
 * Ann and Bob in sector-a, Cas in sector-b, Dee in both and in lone, Eve left. On the 10th all are subscribed; on the 12th Ann
 * leaves sector-a for sector-b, so that nothing of hers ends but is given by another group, and Bob leaves altogether.
 */
beforeAll(async () => {
  await muster.structure(COMPANY);
  await muster.feed(FEED);
  const others = 'c,cas@example.org,Cas,Smit,A,,sector-b\nd,,Dee,,A,Sales,sector-a;sector-b;lone\n';
  await muster.import(
    `${HEADER}a,ann@example.org,Ann,Éclair,A,Sales,sector-a\nb,bob@example.org,Bob,=1+1,A,Care,sector-a\n${others}`,
  );
  for (const [learner, course, completion, score, activity] of [
    ['a', 'safety', 100, 80],
    ['a', 'welcome', 40, undefined],
    ['d', 'safety', 50, undefined, 'Quiz'],
    ['d', 'safety', 60, 55],
  ] as const) {
    await recordProgress(muster.context, {
      learner: await muster.learner(learner),
      course: await muster.course(course),
      completion,
      ...(score !== undefined && { score }),
      ...(activity !== undefined && { activity }),
    });
  }
  muster.clock.forward(2 * DAY);
  await muster.import(`${HEADER}a,ann@example.org,Ann,Éclair,A,Sales,sector-b\n${others}`, { approve: true });
});

describe('learners', () => {
  test('one row each, in the order of learners, with the usual columns', async () => {
    expect(await rows('what: learners')).toEqual([
      ['a', 'ann@example.org', 'Ann', 'Éclair', 'active', ['sector-b'], 3],
      ['b', 'bob@example.org', 'Bob', '=1+1', 'inactive', [], 0],
      ['c', 'cas@example.org', 'Cas', 'Smit', 'active', ['sector-b'], 3],
      ['d', null, 'Dee', null, 'active', ['lone', 'sector-a', 'sector-b'], 3],
    ]);
  });

  test('a group stands for those below it too', async () => {
    const of = (group: string) => rows(`what: learners\ncolumns: [learner]\nfilter: { groups: [${group}] }`);
    expect(await of('all')).toEqual([['a'], ['c'], ['d']]);
    expect(await of('sector-a')).toEqual([['d']]);
    expect(await of('lone, sector-a')).toEqual([['d']]);
  });

  test('`group` asked for gives a row for each group, of those that were asked for', async () => {
    expect(await rows('what: learners\ncolumns: [learner, groupName]\norder: [groupName, -learner]')).toEqual([
      ['b', null],
      ['d', 'Lone group'],
      ['d', 'Sector A'],
      ['d', 'Sector B'],
      ['c', 'Sector B'],
      ['a', 'Sector B'],
    ]);
    expect(
      await rows('what: learners\ncolumns: [learner, group]\norder: [group]\nfilter: { groups: [sector-a, lone] }'),
    ).toEqual([
      ['d', 'lone'],
      ['d', 'sector-a'],
    ]);
  });

  test('attributes are columns, to be ordered and summed up by', async () => {
    expect(
      await rows('what: learners\nsummary: { by: [attributes.department] }\norder: [-count, attributes.department]'),
    ).toEqual([
      ['Sales', 2],
      [null, 1],
      ['Care', 1],
    ]);
  });

  test('attributes narrow every subject; an empty text stands for who has none', async () => {
    const of = (what: string, filter: string) =>
      rows(`what: ${what}\nsummary: { by: [learner] }\nfilter: { attributes: { department: ${filter} } }`);
    expect(await of('learners', '[Sales, Care]')).toEqual([
      ['a', 1],
      ['b', 1],
      ['d', 1],
    ]);
    expect(await of('learners', '[""]')).toEqual([['c', 1]]);
    expect(await of('learners', '[sales]')).toEqual([]);
    expect(await of('subscriptions', '[Care]')).toEqual([['b', 2]]);
    expect(await of('progress', '[Sales]')).toEqual([
      ['a', 2],
      ['d', 1],
    ]);
    expect(await of('memberships', '[Sales]')).toEqual([
      ['a', 1],
      ['d', 3],
    ]);
    const strange = "what: learners\nfilter: { attributes: { '$where': ['$department'], department: ['$name'] } }";
    expect(await rows(strange)).toEqual([]);
  });

  test('--group narrows what the report itself asks for', async () => {
    const yaml = 'what: learners\ncolumns: [learner]\nfilter: { groups: [all] }';
    expect(await rows(yaml, { within: await muster.group('sector-b') })).toEqual([['a'], ['c'], ['d']]);
    expect(await rows(yaml, { within: await muster.group('lone') })).toEqual([]);
  });

  test('subenvironments stand for the groups that are linked to them, and for those below', async () => {
    await muster.store.groups.updateOne({ externalId: 'sector-b' as never }, { $set: { subenvironments: ['north'] } });
    await muster.store.meta.updateOne({ _id: 'structure' }, { $inc: { revision: 1 } });
    const of = (name: string) => rows(`what: learners\ncolumns: [learner]\nfilter: { subenvironments: [${name}] }`);
    expect(await of('north')).toEqual([['a'], ['c'], ['d']]);
    await expect(of('south')).rejects.toThrow('names subenvironment south, which is not there; it was not run');
    await muster.store.subenvironments.insertOne({ _id: 'south', createdAt: new Date(), createdBy: 'test' });
    expect(await of('south')).toEqual([]);
  });
});

describe('subscriptions', () => {
  test('who has not finished which course, by group', async () => {
    expect(
      await rows(`what: subscriptions
columns: [groupName, courseName, learner, completion]
order: [groupName, courseName, learner]
filter: { status: [active], learnerStatus: active, completion: { below: 100 }, groups: [sector-b], courses: [safety, welcome] }`),
    ).toEqual([
      ['Sector B', 'Course safety', 'c', 0],
      ['Sector B', 'Course safety', 'd', 60],
      ['Sector B', 'Course welcome', 'a', 40],
      ['Sector B', 'Course welcome', 'c', 0],
      ['Sector B', 'Course welcome', 'd', 0],
    ]);
  });

  test('what expired in a period, in the time zone of the schedule', async () => {
    const of = (dates: string) =>
      rows(`what: subscriptions
columns: [learner, course, since, direct]
order: [course]
filter: { status: [expired], dates: ${dates} }
schedule: { timeZone: Europe/Amsterdam }`);
    const since = new Date('2026-01-12T02:00:00Z');
    const both = [
      ['b', 'safety', since, false],
      ['b', 'welcome', since, false],
    ];
    expect(await of('{ period: this-month }')).toEqual(both);
    expect(await of('{ period: today }')).toEqual(both);
    expect(await of('{ period: yesterday }')).toEqual([]);
    expect(await of('{ from: 2026-01-12T03:00:00, until: 2026-01-13 }')).toEqual(both);
    expect(await of('{ from: 2026-01-12T03:00:01 }')).toEqual([]);
  });

  test('summed up in the database: figures by course, ordered by one of them', async () => {
    expect(
      await rows(`what: subscriptions
summary: { by: [courseName], figures: [count, average completion, max score, min since] }
order: [-average completion]
filter: { status: [active] }`),
    ).toEqual([
      ['Course safety', 3, 53.33, 80, new Date('2026-01-10T02:00:00Z')],
      ['Course welcome', 3, 13.33, null, new Date('2026-01-10T02:00:00Z')],
      ['Course sales', 3, 0, null, new Date('2026-01-10T02:00:00Z')],
    ]);
  });

  test('`through` names the groups that give the course now, as `learners show` does', async () => {
    const asked = 'what: subscriptions\ncolumns: [learner, course, through, direct]\norder: [learner, course]';
    expect(await rows(`${asked}\nfilter: { learnerStatus: active, courses: [safety] }`)).toEqual([
      ['a', 'safety', ['sector-b'], false],
      ['c', 'safety', ['sector-b'], false],
      ['d', 'safety', ['sector-a', 'sector-b'], false],
    ]);
    expect(await rows(`${asked}\nfilter: { status: [expired], courses: [safety] }`)).toEqual([
      ['b', 'safety', [], false],
    ]);
  });

  test('`learners` counts each once, beside figures that count every row', async () => {
    const summary = (by: string) => `what: subscriptions
summary: { by: [${by}], figures: [learners, count, average completion, sum score, min since] }
filter: { status: [active] }`;
    const since = new Date('2026-01-10T02:00:00Z');
    // Dee is in two sectors and in lone: three rows of each of her courses where `group` is asked for.
    expect(await rows(summary('status'))).toEqual([['active', 3, 9, 22.22, 135, since]]);
    expect(await rows(summary('status').replace('learners, ', ''))).toEqual([['active', 9, 22.22, 135, since]]);
    expect(await rows(summary('groupName'))).toEqual([
      ['Lone group', 1, 3, 20, 55, since],
      ['Sector A', 1, 3, 20, 55, since],
      ['Sector B', 3, 9, 22.22, 135, since],
    ]);
    expect(await rows('what: memberships\nsummary: { by: [status], figures: [count, learners] }')).toEqual([
      ['current', 5, 3],
    ]);
  });

  test('a summary has one row for what is the same, not one for each course that bears it', async () => {
    const of = (to: object) =>
      muster.store.courses.updateMany({ externalId: { $in: ['safety', 'welcome'] as never } }, to);
    await of({ $set: { subenvironment: 'north' } });
    await muster.store.meta.updateOne({ _id: 'structure' }, { $inc: { revision: 1 } });
    const asked = 'what: subscriptions\nfilter: { status: [active] }\nsummary: { by: [subenvironment] }';
    expect(await rows(asked)).toEqual([
      [null, 3],
      ['north', 6],
    ]);
    expect(await rows(`${asked}\norder: [-subenvironment]`)).toEqual([
      ['north', 6],
      [null, 3],
    ]);
    await of({ $unset: { subenvironment: '' } });
    await muster.store.meta.updateOne({ _id: 'structure' }, { $inc: { revision: 1 } });
  });

  test('filters find the same, wherever the query begins', async () => {
    const asked = (filter: string) =>
      rows(`what: subscriptions\ncolumns: [learner, course, completion]\norder: [learner, course]\nfilter: ${filter}`);
    // Everybody who is or was subscribed is still in `all`, but for Bob.
    const all = await asked('{ learnerStatus: active }');
    expect(all).toHaveLength(9);
    expect(await asked('{ learnerStatus: active, groups: [all] }')).toEqual(all);
    const safety = all.filter(([, course]) => course === 'safety');
    expect(await asked('{ learnerStatus: active, courses: [safety] }')).toEqual(safety);
    expect(await asked('{ groups: [all], courses: [safety] }')).toEqual(safety);
  });
});

describe('progress', () => {
  test('results with their learners and courses, also from a group', async () => {
    const asked = 'what: progress\ncolumns: [learner, course, completion, score]';
    const all = [
      ['a', 'safety', 100, 80],
      ['a', 'welcome', 40, null],
      ['d', 'safety', 60, 55],
    ];
    expect(await rows(asked)).toEqual(all);
    expect(await rows(`${asked}\norder: [learner, course]\nfilter: { groups: [all] }`)).toEqual(all);
    expect(await rows(`${asked}\nfilter: { groups: [sector-a], completion: { atLeast: 50 } }`)).toEqual([all[2]]);
  });

  test('a row for each activity', async () => {
    expect(
      await rows('what: progress\ncolumns: [learner, activity, activityCompletion]\nfilter: { groups: [sector-a] }'),
    ).toEqual([['d', 'Quiz', 50]]);
  });
});

test('memberships: with their windows, and whether they are valid now', async () => {
  const learner = await muster.learner('c');
  const memberships = (await muster.store.learners.findOne({ _id: learner }))?.memberships ?? [];
  const windows = [{ source: 'hr', from: new Date('2026-03-01T00:00:00Z'), until: new Date('2026-04-01T00:00:00Z') }];
  const lone = { group: await muster.group('lone'), sources: windows };
  const past = { group: await muster.group('sector-a'), sources: [{ source: 'x', until: new Date(0) }] };
  await muster.store.learners.updateOne({ _id: learner }, { $set: { memberships: [...memberships, lone, past] } });
  const asked = 'what: memberships\ncolumns: [group, status, sources, validFrom, validUntil]\norder: [group]';
  const of = (status: string) => rows(`${asked}\nfilter: { learnerStatus: active, ${status} }`);
  expect(await of('status: [future, past]')).toEqual([
    ['lone', 'future', ['hr'], windows[0]?.from, windows[0]?.until],
    ['sector-a', 'past', ['x'], null, new Date(0)],
  ]);
  expect(await of('status: [current]')).toHaveLength(5);
  expect(await rows('what: memberships\nsummary: { by: [group] }')).toEqual([
    ['lone', 2],
    ['sector-a', 2],
    ['sector-b', 3],
  ]);
  await muster.store.learners.updateOne({ _id: learner }, { $set: { memberships } });
});

test('runs: newest first, with their figures', async () => {
  const runs = await rows('what: runs\ncolumns: [feed, state, read, membershipsAdded, membershipsRemoved, expired]');
  expect(runs.filter(([feed]) => feed === 'hr')).toEqual([
    ['hr', 'completed', 3, 1, 2, 2],
    ['hr', 'completed', 4, 6, 0, 0],
  ]);
  expect(
    await rows('what: runs\nsummary: { by: [feed], figures: [sum read] }\nfilter: { feeds: [hr], state: [completed] }'),
  ).toEqual([['hr', 7]]);
});

test('runs: a plan that was not applied has read rows, and changed nothing', async () => {
  const less = (row: string) => `${HEADER}c,cas@example.org,Cas,Smit,A,,sector-b\n${row},,,,A,,sector-b\n`;
  await muster.import(less('a'), { preview: true });
  const { run } = await muster.import(less('d'));
  await rejectRun(muster.context, run, 'test');
  await muster.import(less('d'));
  const asked = 'what: runs\nfilter: { feeds: [hr], state: [planned, held, rejected] }';
  const columns = 'columns: [state, read, membershipsAdded, membershipsRemoved, deactivated, expired]';
  expect(await rows(`${asked}\n${columns}\norder: [state]`)).toEqual([
    ['held', 2, null, null, null, null],
    ['planned', 2, null, null, null, null],
    ['rejected', 2, null, null, null, null],
  ]);
  expect(await rows(`${asked}\nsummary: { by: [feed], figures: [sum read, sum membershipsRemoved] }`)).toEqual([
    ['hr', 6, 0],
  ]);
});

test('texts come in the order of people: case and accents do not part what belongs together', async () => {
  const names = ['éclair', 'Zebra', 'apple', 'Éclair', 'Eclipse', '=x'];
  await muster.store.learners.insertMany(
    names.map((lastName, at) => ({
      _id: (1_000_000 + at) as never,
      lastName,
      status: 'inactive' as const,
      attributes: {},
      memberships: [],
      holds: [],
      revision: 1,
    })),
  );
  const found = await rows(
    'what: learners\ncolumns: [learner, lastName]\norder: [lastName]\nfilter: { status: [inactive] }',
  );
  expect(found.map(([, name]) => name)).toEqual(['=1+1', '=x', 'apple', 'éclair', 'Éclair', 'Eclipse', 'Zebra']);
  expect(found.at(-1)?.[0]).toBe('id:1000001');
  await muster.store.learners.deleteMany({ _id: { $gte: 1_000_000 as never } });
});

test('CSV has titles and ISO dates, JSON the names of columns and values as they are', async () => {
  const asked = `what: subscriptions
columns: [learner, lastName, groups, since, direct, completion]
order: [learner]
filter: { courses: [welcome], dates: { from: 2026-01-01 } }`;
  expect((await bytesOf(muster, asked, 'csv')).toString().split('\r\n').slice(0, 3)).toEqual([
    'Learner,Last name,Groups,Since,Direct grant,Completion %',
    'a,Éclair,sector-b,2026-01-10T02:00:00.000Z,false,40',
    "b,'=1+1,,2026-01-12T02:00:00.000Z,false,0",
  ]);
  const json = JSON.parse((await bytesOf(muster, asked, 'json')).toString()) as object[];
  expect(json).toHaveLength(4);
  expect(json[3]).toEqual({
    learner: 'd',
    lastName: null,
    groups: ['lone', 'sector-a', 'sector-b'],
    since: '2026-01-10T02:00:00.000Z',
    direct: false,
    completion: 0,
  });
  expect(
    (await bytesOf(muster, 'what: learners\nfilter: { groups: [sector-b], status: [inactive] }', 'json')).toString(),
  ).toBe('[]\n');
});

test('a report whose filter names what is not there is refused, with its name', async () => {
  await expect(rows('what: learners\nfilter: { groups: [gone] }')).rejects.toThrow(
    /names group gone, which is not there/,
  );
});
