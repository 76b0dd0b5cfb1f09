import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findRedis } from '../../../src/embedded/binaries/redis.ts';
import { silent } from '../../../src/embedded/say.ts';
import { type Supervised, supervise } from '../../../src/embedded/supervisor.ts';

let home: string;
let server: Supervised | undefined;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'muster-supervisor-'));
});
afterEach(async () => {
  await server?.stop();
  rmSync(home, { recursive: true, force: true });
});

test('fault 28: an embedded server that cannot start, as on a full disk, is started again until it can', {
  timeout: 120_000,
}, async () => {
  const [binary, full, tries] = ['redis-on-a-disk', 'full', 'tries'].map((name) => join(home, name)) as [
    string,
    string,
    string,
  ];
  const redis = await findRedis({ env: process.env, say: silent });
  writeFileSync(binary, `#!/bin/sh\necho >>"${tries}"\n[ -e "${full}" ] && exit 1\nexec "${redis}" "$@"\n`);
  chmodSync(binary, 0o755);
  const pids: number[] = [];
  server = await supervise({ server: 'redis', binary }, home, undefined, (pid) => pids.push(pid));
  writeFileSync(full, '');
  process.kill(pids[0] as number, 'SIGKILL');
  const tried = () => (existsSync(tries) ? readFileSync(tries, 'utf8').length : 0);
  await expect.poll(tried, { timeout: 60_000 }).toBeGreaterThan(6);
  rmSync(full);
  const tail = pids.length;
  await expect.poll(() => pids.length, { timeout: 60_000 }).toBeGreaterThan(tail);
  const last = pids.at(-1) as number;
  await expect
    .poll(() => readFileSync(join(home, 'redis.log'), 'utf8'))
    .toMatch(/Ready to accept connections[^]*Ready to accept connections/);
  expect(() => process.kill(last, 0)).not.toThrow();
});
