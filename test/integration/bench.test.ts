import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, expect, test } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'muster-bench-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('the bench runs scenarios on 2,000 rows, each beside its floor, and writes a report', async () => {
  const report = join(folder, 'REPORT.md');
  const main = resolve(import.meta.dirname, '../../bench/main.ts');
  const scenarios = ['first-import', 'finding', 'night'];
  const options = [
    '--rows',
    '2000',
    '--runs',
    '1',
    '--report',
    report,
    ...scenarios.flatMap((name) => ['--scenario', name]),
  ];
  const child = spawn(process.execPath, ['--import', 'tsx', main, ...options], { stdio: ['ignore', 'ignore', 'pipe'] });
  const [errors, code] = await Promise.all([text(child.stderr), new Promise((resolve) => child.once('exit', resolve))]);
  expect(errors).not.toContain('Error');
  expect(code).toBe(0);
  const written = readFileSync(report, 'utf8');
  expect(written).not.toContain('NaN');
  expect(written.split('\n### ')).toHaveLength(1 + scenarios.length);
}, 120_000);
