import { readdirSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { RunId } from '../../../src/domain/ids.ts';
import type { RunReport } from '../../../src/run/report.ts';
import type { ChangeView } from '../../../src/run/views/changesView.ts';
import type { RunDoc } from '../../../src/store/models.ts';
import { openStore } from '../../../src/store/store.ts';
import { FEED, HEADER, rows, useCommandLine } from './commandLine.ts';

const muster = useCommandLine();
const everybody = Array.from({ length: 40 }, (_, at) => `${100 + at} a`);

beforeAll(async () => {
  await muster.run(`feeds apply ${muster.file('hr.yaml', FEED)}`);
  await muster.run('groups create All --external-id all');
  await muster.run('groups create A --external-id a --parent all');
  await muster.run('groups create B --external-id b --parent all');
  await muster.run('courses add Fire --external-id fire');
  await muster.run('groups link all fire');
  muster.file('hr.csv', rows(...everybody));
});

describe('muster import', () => {
  test('the report of a run has the shape of the interface', async () => {
    const report = await muster.json<RunReport>('import hr.csv --feed hr');
    expect(report).toMatchObject({
      feed: 'hr',
      state: 'completed',
      mode: 'full',
      noChange: false,
      preview: false,
      source: { name: 'hr.csv', sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
      rows: { read: 40, accepted: 40, rejected: 0, repeated: 0 },
      learners: { created: 40, updated: 0, reactivated: 0, deactivated: 0, unchanged: 0 },
      groups: { created: 0 },
      memberships: { added: 40, removed: 0, unchanged: 0 },
      subscriptions: { subscribed: 40, reactivated: 0, expired: 0, purged: 0, kept: 0 },
      guard: { held: false, breaches: [] },
      setAside: 0,
      protected: { learners: 0, groups: 0 },
      problems: [],
    });
    expect(report.stages.map(({ name }) => name)).toEqual(['read', 'plan', 'apply', 'reconcile']);
    expect(await muster.json(`runs show ${report.run}`)).toEqual(JSON.parse(JSON.stringify(report)));
  });

  test('R17: the same file again is no change, exit 0, and needs no Redis', async () => {
    const called = await muster.call(['import', 'hr.csv', '--feed', 'hr', '--json'], {
      env: { REDIS_URL: 'redis://127.0.0.1:1' },
    });
    expect(called.exit).toBe(0);
    expect(JSON.parse(called.stdout)).toMatchObject({
      state: 'completed',
      noChange: true,
      memberships: { unchanged: 40 },
    });
  });

  test('a preview shows what would happen, ends with exit 0, and changes nothing', async () => {
    muster.file('preview.csv', rows(...everybody, '900 b'));
    const before = await muster.run('digest');
    const report = await muster.json<RunReport>('import preview.csv --feed hr --preview');
    expect(report).toMatchObject({
      state: 'planned',
      preview: true,
      learners: { created: 1 },
      subscriptions: { subscribed: 1 },
    });
    expect(await muster.run('digest')).toBe(before);
  });

  test('a plan that breaks a limit is held with exit 3, and says what to type next', async () => {
    muster.file('half.csv', rows(...everybody.slice(0, 20)));
    const before = await muster.run('digest');
    const text = await muster.run('import half.csv --feed hr', 3);
    const run = /^Run (r\d+)/.exec(text)?.[1] as string;
    expect(text).toContain('50 % of the memberships that feed hr holds would be lost; the limit is 5 %.');
    expect(text).toContain(`muster runs approve ${run}`);
    expect(await muster.run('digest')).toBe(before);
    expect(await muster.json<RunReport>(`runs show ${run}`)).toMatchObject({ state: 'held', guard: { held: true } });
  });

  test('R30: an approved plan is applied to its end; approving it twice is refused with exit 2', async () => {
    const held = await muster.json<RunReport>('import half.csv --feed hr', 3);
    const approved = await muster.json<RunReport>(`runs approve ${held.run}`);
    expect(approved).toMatchObject({
      run: held.run,
      state: 'completed',
      memberships: { removed: 20 },
      subscriptions: { expired: 20 },
    });
    const changes = await muster.json<ChangeView[]>(`runs changes ${held.run}`);
    const expired = [{ course: 'fire', event: 'expired', through: [] }];
    expect(changes.map(({ subscriptions }) => subscriptions)).toEqual(Array.from({ length: 20 }, () => expired));
    const again = await muster.call(['runs', 'approve', held.run]);
    expect(again).toMatchObject({ exit: 2, stdout: '', stderr: expect.stringContaining('cannot be approved') });
    expect((await muster.json<{ status: string }>('learners show 139')).status).toBe('inactive');
  });

  test('--approve lets a plan pass the guard', async () => {
    expect(await muster.json<RunReport>('import hr.csv --feed hr --approve')).toMatchObject({
      state: 'completed',
      learners: { reactivated: 20 },
      subscriptions: { reactivated: 20 },
    });
  });

  test('a held plan that is rejected changes nothing, and says who and why', async () => {
    const held = await muster.json<RunReport>('import half.csv --feed hr', 3);
    const rejected = await muster.json<RunReport>(`runs reject ${held.run} --reason "half the file"`);
    expect(rejected.state).toBe('rejected');
    expect(rejected.history.at(-1)).toMatchObject({
      state: 'rejected',
      note: 'half the file',
      by: expect.stringMatching(/^cli:/),
    });
    await muster.run(`runs approve ${held.run}`, 2);
  });

  test('rejected rows: exit 0, with --strict 4; they come back as CSV, mended they are accepted', async () => {
    muster.file('typo.csv', rows(...everybody, '901 B'));
    await muster.run('import typo.csv --feed hr');
    const report = await muster.json<RunReport>('import typo.csv --feed hr --strict', 4);
    expect(report.problems).toEqual([expect.objectContaining({ code: 'unknown-group', row: 42, count: 1 })]);
    const file = await muster.run(`runs rejected ${report.run}`);
    const [header, row, end] = file.split('\r\n');
    expect(header).toBe(`${HEADER.trim()},muster:row,muster:reason`);
    expect(row).toMatch(/^901,901@example.org,F901,L901,B,42,"?unknown-group: .*Group b \(B\)/);
    expect(end).toBe('');
    muster.file('mended.csv', file.replace(',B,42', ',b,42'));
    muster.file('mended.yaml', FEED.replace('name: hr', 'name: mended'));
    expect(await muster.json<RunReport>('import mended.csv --mapping mended.yaml --strict')).toMatchObject({
      state: 'completed',
      rows: { accepted: 1, rejected: 0 },
    });
    expect(await muster.json('learners show 901')).toMatchObject({
      memberships: [{ group: 'b', name: 'B', sources: [{ source: 'mended', validFrom: null, validUntil: null }] }],
      subscriptions: [{ course: 'fire', status: 'active', through: ['all'], direct: false, progress: null }],
    });
  });

  test('R16: a file without the header of the feed fails with exit 1 and changes nothing', async () => {
    const before = await muster.run('digest');
    muster.file('other.csv', 'Some,Other\r\n1,2\r\n');
    expect(await muster.json<RunReport>('import other.csv --feed hr', 1)).toMatchObject({
      state: 'failed',
      error: { code: 'header-unfit' },
    });
    expect(await muster.run('digest')).toBe(before);
  });

  test('standard input is a file like any other', async () => {
    const report = JSON.parse(await muster.run('import - --feed hr --json', 0, rows(...everybody))) as RunReport;
    expect(report).toMatchObject({ source: { name: 'standard input' }, rows: { read: 40 } });
  });

  /** What is kept of standard input. */
  const kept = () => readdirSync(join(muster.directory, '.muster', 'spool'));

  test('R30: standard input whose plan is held is kept, so that a stale plan is made again, and goes when that is applied', async () => {
    expect(kept()).toEqual([]);
    const half = rows(...everybody.slice(0, 20));
    const held = JSON.parse(await muster.run('import - --feed hr --json', 3, half)) as RunReport;
    expect(kept()).toHaveLength(1);
    await muster.run('learners edit 130 --last-name Changed');
    const again = await muster.json<RunReport>(`runs approve ${held.run}`, 3);
    expect(again).toMatchObject({ state: 'held', source: { name: 'standard input' }, memberships: { removed: 20 } });
    expect(kept()).toHaveLength(1);
    expect(await muster.json<RunReport>(`runs approve ${again.run}`)).toMatchObject({ state: 'completed' });
    expect(kept()).toEqual([]);
    await muster.run('import hr.csv --feed hr --approve');
  });

  test('R24, R30: standard input of an import that was killed while it read is kept where the run that goes on is held', async () => {
    const half = rows(...everybody.slice(0, 20));
    const held = JSON.parse(await muster.run('import - --feed hr --json', 3, half)) as RunReport;
    const store = await openStore(muster.env.MONGODB_URI as string);
    await store.runs.updateOne({ _id: held.run }, { $set: { state: 'reading', working: true } });
    await store.close();
    await muster.run('import other.csv --feed hr', 1);
    expect(await muster.json<RunReport>(`runs show ${held.run}`)).toMatchObject({ state: 'held' });
    expect(kept()).toHaveLength(1);
    await muster.run('import hr.csv --feed hr');
    expect(await muster.json<RunReport>(`runs show ${held.run}`)).toMatchObject({ state: 'superseded' });
    expect(kept()).toEqual([]);
  });

  test('R30: a part of a stale plan is refused with exit 2, and the plan is held still', async () => {
    const { run } = await muster.json<RunReport>('import half.csv --feed hr', 3);
    await muster.run('learners edit 130 --last-name Changed');
    const before = await muster.json<unknown[]>('runs list --limit 1000');
    for (const part of ['--except 130', '--without-removals']) {
      const { exit, stdout, stderr } = await muster.call(`runs approve ${run} ${part}`.split(' '));
      expect([exit, stdout, stderr]).toEqual([2, '', expect.stringContaining('were changed or made after')]);
    }
    expect(await muster.json('runs list --limit 1000')).toEqual(before);
    expect(await muster.json<RunReport>(`runs show ${run}`)).toMatchObject({ state: 'held' });
    await muster.run('import hr.csv --feed hr');
  });

  test('R23, R30: a stale plan is made again when the run of its feed that is at work has ended', async () => {
    const { run } = await muster.json<RunReport>('import half.csv --feed hr', 3);
    await muster.run('learners edit 130 --last-name Again');
    const store = await openStore(muster.env.MONGODB_URI as string);
    const { runs } = store;
    const other = (await runs.findOne({ feed: 'hr', state: 'completed' })) as RunDoc;
    const lease = { owner: 'test', host: hostname(), pid: process.pid, until: new Date(Date.now() + 600_000) };
    const atWork = { ...other, _id: 'r900' as RunId, state: 'reading' as const, working: true, finishedAt: null };
    await runs.insertOne({ ...atWork, lease });
    const approved = muster.call(['runs', 'approve', run, '--json']);
    try {
      await expect.poll(() => runs.countDocuments({ feed: 'hr', state: 'queued' })).toBe(1);
    } finally {
      const set = { state: 'cancelled' as const, finishedAt: new Date() };
      await runs.updateOne({ _id: atWork._id }, { $set: set, $unset: { working: '', lease: '' } });
    }
    const { exit, stdout } = await approved;
    expect([exit, JSON.parse(stdout)]).toEqual([
      3,
      expect.objectContaining({ state: 'held', source: expect.objectContaining({ name: 'half.csv' }) }),
    ]);
    await store.close();
    await muster.run('import hr.csv --feed hr');
  });

  test('runs changes lists before and after of each learner', async () => {
    muster.file('moved.csv', rows(...everybody.slice(1), '100 b'));
    const { run } = await muster.json<RunReport>('import moved.csv --feed hr');
    expect(await muster.json(`runs changes ${run}`)).toEqual([
      expect.objectContaining({
        externalId: '100',
        created: false,
        memberships: expect.arrayContaining([
          { group: 'a', source: 'hr', before: [{ validFrom: null, validUntil: null }], after: [], courses: 'expire' },
          { group: 'b', source: 'hr', before: [], after: [{ validFrom: null, validUntil: null }], courses: null },
        ]),
        subscriptions: [],
      }),
    ]);
    expect(await muster.run(`runs changes ${run}`)).toContain('  + b (hr)');
  });
});

describe('wrong usage ends with exit 2 and an empty standard output', () => {
  test.each([
    ['import hr.csv', '--feed NAME'],
    ['import hr.csv --feed hr --mapping hr.yaml', 'one of the two'],
    ['import hr.csv --feed hrr', 'Is hr meant?'],
    ['import', "missing required argument 'file'"],
    ['import hr.csv --feed hr --no-such', "unknown option '--no-such'"],
    ['nonsense', "unknown command 'nonsense'"],
    ['runs show r999', 'There is no run r999'],
    ['groups show A', 'Is a (A) meant?'],
    ['learners show 0100', 'Is 100 meant?'],
    ['groups remove a 100 --courses keeep', 'Allowed choices are keep, expire, purge'],
    ['feeds check broken.yaml', 'broken.yaml:2'],
  ])('muster %s', async (command, told) => {
    muster.file('broken.yaml', 'name: hr\nlerner: { externalId: Id }\n');
    const called = await muster.call(command.split(' '));
    expect(called).toMatchObject({ exit: 2, stdout: '', stderr: expect.stringContaining(told) });
  });

  test('a wrong setting is named in one line', async () => {
    const called = await muster.call(['digest'], { env: { PORT: 'http' } });
    expect(called).toMatchObject({
      exit: 2,
      stdout: '',
      stderr: expect.stringMatching(/^muster: PORT is "http"[^\n]*\n$/),
    });
  });

  test('a Redis that cannot be reached is named, and the run goes on with the next command', async () => {
    muster.file('more.csv', rows(...everybody, '950 b'));
    const args = ['import', 'more.csv', '--feed', 'hr', '--json'];
    const called = await muster.call(args, { env: { REDIS_URL: 'redis://127.0.0.1:1' } });
    expect(called).toMatchObject({
      exit: 1,
      stdout: '',
      stderr: expect.stringContaining('The Redis of REDIS_URL cannot be reached'),
    });
    const again = await muster.call(args);
    expect(again.stderr).toContain('it goes on first');
    expect(JSON.parse(again.stdout)).toMatchObject({ state: 'completed', noChange: true });
  });

  test('--help and --version end with exit 0', async () => {
    expect(await muster.call(['--version'])).toMatchObject({
      exit: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
    });
    expect(await muster.call(['groups', 'create', '--help'])).toMatchObject({
      exit: 0,
      stdout: expect.stringContaining('Example:'),
    });
  });
});

describe('config/feeds', () => {
  test('feeds that lie as files are applied at start and are read-only elsewhere', async () => {
    muster.file('config/feeds/it.yaml', FEED.replace('name: hr', 'name: it'));
    muster.file('config/feeds/other.example.yaml', 'not a feed');
    const feeds = await muster.json<{ name: string; origin: string }[]>('feeds list');
    expect(feeds.map(({ name, origin }) => `${name} ${origin}`)).toEqual(['hr database', 'it file']);
    muster.file('it.yaml', `${FEED.replace('name: hr', 'name: it')}mode: full\n`);
    const refused = await muster.call(['feeds', 'apply', 'it.yaml']);
    expect(refused).toMatchObject({ exit: 2, stderr: expect.stringContaining('config/feeds') });
  });

  test('feeds sample shows how the first rows are understood, and changes nothing', async () => {
    const sample = await muster.json<{ rows: unknown[] }>('feeds sample hr --file typo.csv --rows 1');
    expect(sample.rows).toEqual([
      expect.objectContaining({ row: 2, externalId: '100', groups: [{ group: 'a', known: true }] }),
    ]);
  });

  test('a feed that holds learners is not deleted', async () => {
    expect(await muster.call(['feeds', 'delete', 'hr'])).toMatchObject({
      exit: 2,
      stderr: expect.stringContaining('holds'),
    });
    await muster.run(`feeds apply ${muster.file('new.yaml', FEED.replace('name: hr', 'name: new'))}`);
    await muster.run('feeds delete new');
    await muster.run('feeds show new', 2);
  });
});
