import { beforeAll, expect, test } from 'vitest';
import { openStore } from '../../../src/store/store.ts';
import { FEED, rows, useCommandLine } from './commandLine.ts';

const muster = useCommandLine();

beforeAll(async () => {
  muster.file('hr.yaml', FEED);
  for (const command of [
    'feeds apply hr.yaml',
    'groups create "All" --external-id all',
    'groups create "Sector A" --external-id a --parent all',
    'groups create "Sector B" --external-id b --parent all',
    'courses add "Safety" --external-id safety',
    'groups link all safety',
  ])
    await muster.run(command);
  muster.file('hr.csv', rows('001 a', '002 b'));
  await muster.run('import hr.csv --feed hr');
});

test('why, history and as of a date tell who, when and for what reason', async () => {
  const why = await muster.run('learners why 001 safety');
  expect(why).toMatch(/^001 has safety: active since /);
  expect(why).toMatch(/all gives it, linked by groups link \(r\d+\)/);
  expect(why).toMatch(/← member of a, held by hr: hr \(r\d+, row 2\) by cli:/);
  const history = await muster.run('learners history 001');
  expect(history).toMatch(/hr \(r\d+, row 2\) by cli:.*\n {2}created\n/);
  expect(history).toContain('+ a (hr)');
  expect(history).toContain('safety: subscribed');
  expect(await muster.run('groups members a --at 2000-01-01')).toBe('No member.\n');
  await muster.run('learners show 001 --at 2000-01-01', 2);
  expect(await muster.run('groups members all --effective --at 2100-01-01')).toMatch(/001.*\n002/s);
  await muster.run('learners show 001 --at soon', 2);
});

test('undo turns a run back and lists what it does; approve takes a part', async () => {
  muster.file('moved.csv', rows('001 b', '002 b'));
  const moved = await muster.json<{ run: string }>('import moved.csv --feed hr --approve');
  const { run } = await muster.json<{ run: string }>(`runs undo ${moved.run}`);
  expect(await muster.run(`runs changes ${run}`)).toMatch(/001\n {2}\+ a \(hr\)\n {2}- b \(hr\), courses: expire/);
  expect(await muster.run('groups members a')).toContain('001');
  await muster.run(`runs approve ${run} --without-removals --only 2`, 2);
  await muster.run(`runs approve ${run} --only x`, 2);
  const refused = await muster.call(['runs', 'approve', run, '--without-removals']);
  expect(refused).toMatchObject({ exit: 2, stderr: expect.stringContaining('is completed, not held') });
});

test('queue retry begins when all that is named was found; what is named twice is retried and discarded once', async () => {
  const store = await openStore(muster.env.MONGODB_URI as string);
  const aside = { run: 'r0', batch: 1, feed: 'hr', job: 'apply', learner: 1, groups: [], tries: [], retryAt: null };
  const put = () =>
    store.setAside.insertOne({
      ...aside,
      _id: 'r0-1-1',
      error: { code: 'test', message: 'test' },
      createdAt: new Date(),
    } as never);
  await put();
  await muster.run('queue retry r0-1-1 r0-2', 2);
  expect(await store.setAside.countDocuments()).toBe(1);
  expect(await muster.json('queue retry r0-1-1 r0-1-1')).toMatchObject({ done: 1, outcomes: [{ id: 'r0-1-1' }] });
  await put();
  expect(await muster.json('queue discard r0-1-1 r0-1-1 --reason doubles')).toEqual({ discarded: ['r0-1-1'] });
  await store.close();
});

test('queue and audit have nothing to complain of; a discard needs a reason', async () => {
  expect(await muster.run('queue list')).toBe('Nothing waits, and nothing is set aside.\n');
  await muster.run('queue retry --all');
  await muster.run('queue retry', 2);
  await muster.run('queue show r1-1', 2);
  await muster.run('queue discard r1-1', 2);
  expect(await muster.run('queue drain')).toContain('nothing waits');
  expect(await muster.run('verify')).toContain('sealed entries are whole');
  const lines = (await muster.run('export audit')).trim().split('\n');
  expect(lines.map((line) => (JSON.parse(line) as { why: string }).why)).toContain('groups link');
  expect(await muster.run('export audit --format csv')).toMatch(/^seq,at,by,why,run/);
});
