import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { FEED, rows, useCommandLine } from './commandLine.ts';

const muster = useCommandLine();
const REPORT = `name: By group
what: memberships
columns: [groupName, lastName]
order: [groupName, lastName]
`;

beforeAll(async () => {
  await muster.run(`feeds apply ${muster.file('hr.yaml', `${FEED}unknownGroup: create\n`)}`);
  muster.file('hr.csv', rows('1 a', '2 a;b', '3 b'));
  await muster.run('import hr.csv --feed hr');
});

test('a report file is checked, applied, changed, listed and shown', async () => {
  muster.file('report.yaml', REPORT);
  expect(await muster.run('reports check report.yaml')).toBe('report.yaml is a report that can be used: By group.\n');
  expect(await muster.json('reports apply report.yaml')).toMatchObject({ name: 'By group', created: true });
  muster.file('report.yaml', `${REPORT}filter: { groups: [a] }\n`);
  expect(await muster.json('reports apply report.yaml')).toMatchObject({ created: false });
  const [listed] = await muster.json<object[]>('reports list');
  expect(listed).toMatchObject({ name: 'By group', what: 'memberships', settings: { filter: { groups: ['a'] } } });
  expect(await muster.run('reports show "By group"')).toContain('columns:\n  - groupName');
});

test('a wrong key is refused with its line and the nearest key, exit 2', async () => {
  const { exit, stderr } = await muster.call(['reports', 'check', muster.file('wrong.yaml', `${REPORT}ordre: []\n`)]);
  expect(exit).toBe(2);
  expect(stderr).toMatch(/wrong\.yaml:5:1 ordre is not a known key\. Did you mean `order`\?/);
  muster.file('nowhere.yaml', `${REPORT}filter: { groups: [nowhere] }\n`);
  await muster.run('reports apply nowhere.yaml', 2);
});

test('run writes rows to standard output or a file, for one group where asked', async () => {
  muster.file('report.yaml', REPORT);
  await muster.run('reports apply report.yaml');
  expect(await muster.run('reports run "By group"')).toBe('Group name,Last name\r\na,L1\r\na,L2\r\nb,L2\r\nb,L3\r\n');
  expect(await muster.run('reports run "By group" --group b --format csv')).toBe(
    'Group name,Last name\r\nb,L2\r\nb,L3\r\n',
  );
  expect(await muster.json('reports run "By group" --group b')).toEqual([
    { groupName: 'b', lastName: 'L2' },
    { groupName: 'b', lastName: 'L3' },
  ]);
  await muster.run('reports run "By group" --format xlsx --output out.xlsx');
  expect(readFileSync(join(muster.directory, 'out.xlsx')).subarray(0, 2).toString()).toBe('PK');
  await muster.run('reports run "By group" --group nowhere', 2);
  const { exit, stderr } = await muster.call(['reports', 'run', 'by grup']);
  expect([exit, stderr]).toEqual([2, expect.stringContaining('Is By group meant?')]);
});

test('a report about runs is of no group: with one it is refused', async () => {
  await muster.run(`reports apply ${muster.file('runs.yaml', 'name: Runs\nwhat: runs\ncolumns: [feed, read]\n')}`);
  expect(await muster.run('reports run Runs')).toContain('hr,3\r\n');
  const { exit, stdout, stderr } = await muster.call(['reports', 'run', 'Runs', '--group', 'b']);
  expect([exit, stdout, stderr]).toEqual([2, '', expect.stringContaining('runs, which are in no group')]);
  await muster.run('reports delete Runs');
});

test('columns are listed, all of them or of one subject', async () => {
  expect(await muster.run('reports columns runs')).toMatch(/runs +membershipsRemoved/);
  const all = await muster.json<{ what: string; column: string }[]>('reports columns');
  expect(all).toContainEqual({ what: 'learners', column: 'attributes.NAME', title: 'NAME', type: 'text' });
});

test('files of config/reports are applied at start, and changed there alone', async () => {
  muster.file('config/reports/mine.yaml', 'name: Mine\nwhat: learners\ncolumns: [learner]\n');
  expect(await muster.run('reports run Mine')).toBe('Learner\r\n1\r\n2\r\n3\r\n');
  const changed = muster.file('changed.yaml', 'name: Mine\nwhat: runs\n');
  for (const command of [`reports apply ${changed}`, 'reports delete Mine']) await muster.run(command, 2);
  muster.file('config/reports/mine.yaml', 'name: Mine\nwhat: learners\ncolumns: [lastName]\n');
  expect(await muster.run('reports run Mine')).toBe('Last name\r\nL1\r\nL2\r\nL3\r\n');
});

test('the reports that Muster comes with can be used', async () => {
  for (const name of ['unfinished-by-group.yaml', 'expired-this-month.yaml']) {
    const path = join(import.meta.dirname, '../../../config/reports', name);
    const { name: called } = await muster.json<{ name: string }>(`reports check ${path}`);
    muster.file(`config/reports/${name}`, readFileSync(path));
    expect(await muster.json(`reports run "${called}"`)).toEqual([]);
  }
});

test('sent now, by a worker; deleted', async () => {
  muster.file('sent.yaml', `${REPORT.replace('By group', 'Sent')}send: { to: [hr@example.org], format: csv }\n`);
  await muster.run('reports send "By group"', 2);
  await muster.run('reports apply sent.yaml');
  expect(await muster.json('reports send Sent')).toMatchObject({ to: ['hr@example.org'] });
  expect(await muster.json('reports show Sent')).toMatchObject({ lastSending: { state: 'waiting' } });
  await muster.run('reports delete Sent');
  await muster.run('reports show Sent', 2);
});
