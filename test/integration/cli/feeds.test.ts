import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { expect, test } from 'vitest';
import { REDACTED } from '../../../src/settings/redact.ts';
import { CommandLine, FEED, HEADER, useCommandLine } from './commandLine.ts';

const muster = useCommandLine();
const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const notify = (secret: string, on = 'held') =>
  `${FEED}notify: { webhook: "https://example.org/hook", secret: ${secret}, on: [${on}] }\n`;

test('the secret of a webhook is not shown, and stays where the text that was shown is applied again', async () => {
  muster.file('hr.yaml', notify(SECRET));
  await muster.run('feeds apply hr.yaml');
  const { text } = await muster.json<{ text: string }>('feeds show hr');
  expect(text).toBe(notify(REDACTED));
  expect(await muster.run('feeds show hr')).not.toContain(SECRET);
  muster.file('hr.yaml', text.replace('on: [held]', 'on: [failed]'));
  await muster.run('feeds apply hr.yaml');
  expect((await muster.json<{ text: string }>('feeds show hr')).text).toBe(notify(REDACTED, 'failed'));
  expect(await muster.json('feeds secret hr')).toEqual({ name: 'hr', secret: SECRET });
});

test('what stands for a secret is refused where none is kept', async () => {
  muster.file('new.yaml', notify(REDACTED).replace('name: hr', 'name: fresh'));
  const { exit, stderr } = await muster.call(['feeds', 'apply', 'new.yaml']);
  expect({ exit, stderr }).toMatchObject({ exit: 2, stderr: expect.stringContaining('Write the secret, or take') });
});

test('every webhook is signed: without a secret of its own and without MUSTER_SECRET the database keeps one', async () => {
  muster.file('plain.yaml', FEED.replace('name: hr', 'name: plain'));
  await muster.run('feeds apply plain.yaml');
  const kept = await muster.json<{ secret: string }>('feeds secret plain');
  expect(Buffer.from(kept.secret.replace('whsec_', ''), 'base64')).toHaveLength(32);
  expect(await muster.json('feeds secret plain')).toEqual(kept);
  const env = { MUSTER_SECRET: 'm'.repeat(32) };
  const { stdout } = await muster.call(['feeds', 'secret', 'plain', '--json'], { env });
  expect(JSON.parse(stdout)).not.toEqual(kept);
});

test('a schedule for a feed whose files are uploaded is refused, with its place and what to do', async () => {
  muster.file('night.yaml', `${FEED}schedule: { cron: "0 2 * * *" }\n`);
  for (const command of ['check', 'apply']) {
    const { exit, stderr } = await muster.call(['feeds', command, 'night.yaml']);
    expect(exit).toBe(2);
    expect(stderr).toMatch(/night\.yaml:5:\d+ schedule\.cron has nothing to read at that time/);
    expect(stderr).toContain('Name a source, file or directory, or take the schedule out');
  }
  muster.file('night.yaml', `${FEED}source: { file: hr.csv }\nschedule: { cron: "0 2 * * *" }\n`);
  await muster.run('feeds check night.yaml');
});

test('the report of a failed run has the hash of the file that could not be used, and null where none was read', async () => {
  const text = `${HEADER}1,1@x.org,A,B,a\r\n2,"cut of`;
  muster.file('cut.csv', text);
  const sha256 = createHash('sha256').update(text).digest('hex');
  const report = await muster.json('import cut.csv --feed plain', 1);
  expect(report).toMatchObject({ state: 'failed', source: { name: 'cut.csv', bytes: text.length, sha256 } });
  await muster.run('groups create Alone --external-id alone');
  const [run] = await muster.json<{ run: string; kind: string }[]>('runs list');
  const { source } = await muster.json<{ source: object }>(`runs show ${run?.run}`);
  expect(source).toMatchObject({ bytes: 0, sha256: '' });
});

test('a mapping that is only previewed, or whose file is not there, leaves the settings of its feed as they are', async () => {
  const once = (courses: string) => `${FEED.replace('name: hr', 'name: once')}leaver: { courses: ${courses} }\n`;
  muster.file('once.yaml', once('keep'));
  muster.file('once.csv', `${HEADER}1,1@x.org,A,B,alone\r\n`);
  await muster.run('import once.csv --mapping once.yaml');
  muster.file('once.yaml', once('purge'));
  const preview = await muster.json('import once.csv --mapping once.yaml --preview');
  expect(preview).toMatchObject({ state: 'planned', preview: true });
  await muster.run('import no-such.csv --mapping once.yaml', 1);
  const text = async () => (await muster.json<{ text: string }>('feeds show once')).text;
  expect(await text()).toBe(once('keep'));
  await muster.run('import once.csv --mapping once.yaml');
  expect(await text()).toBe(once('purge'));
});

test('a feed whose file was taken out of config/feeds can be changed and deleted', async () => {
  const text = FEED.replace('name: hr', 'name: filed');
  const path = muster.file('config/feeds/filed.yaml', text);
  await muster.run('feeds list');
  muster.file('filed.yaml', `${text}leaver: { graceDays: 3 }\n`);
  await muster.run('feeds apply filed.yaml', 2);
  await muster.run('feeds delete filed', 2);
  // From elsewhere, nobody can say whether the file is there.
  const elsewhere = new CommandLine(muster.env);
  elsewhere.file('filed.yaml', `${text}leaver: { graceDays: 3 }\n`);
  for (const command of ['feeds apply filed.yaml', 'feeds delete filed']) await elsewhere.run(command, 2);
  rmSync(elsewhere.directory, { recursive: true });
  expect(await muster.json('feeds show filed')).toMatchObject({ origin: 'file' });
  rmSync(path);
  await muster.run('feeds apply filed.yaml');
  expect(await muster.json('feeds show filed')).toMatchObject({ origin: 'database' });
  await muster.run('feeds delete filed');
  await muster.run('feeds show filed', 2);
});
