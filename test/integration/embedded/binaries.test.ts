import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findMongod } from '../../../src/embedded/binaries/mongod.ts';
import { findRedis } from '../../../src/embedded/binaries/redis.ts';
import { inCache, type Search } from '../../../src/embedded/binaries/search.ts';
import { fromWheel } from '../../../src/embedded/binaries/wheel.ts';
import { ServerMissing } from '../../../src/embedded/errors.ts';
import type { Say } from '../../../src/embedded/say.ts';

let root: string;
let said: string[];
let say: Say;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'muster-find-'));
  said = [];
  say = { step: (text) => said.push(text), progress: (what) => said.push(`progress ${what}`) };
});
afterEach(() => rmSync(root, { recursive: true }));

function program(...path: string[]): string {
  const file = join(root, ...path);
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, '#!/bin/sh\n');
  chmodSync(file, 0o755);
  return file;
}

const search = (env: Search['env'] = {}): Search => ({ say, env: { XDG_CACHE_HOME: join(root, 'cache'), ...env } });

describe('mongod is looked for in order', () => {
  test('MONGOMS_SYSTEM_BINARY, then PATH, then the cache', async () => {
    const named = program('named', 'mongod');
    const cached = program('cache', 'muster', 'mongod-6.0.5');
    const onPath = program('bin', 'mongod');
    const PATH = `${join(root, 'empty')}:${join(root, 'bin')}`;
    expect(await findMongod(search({ MONGOMS_SYSTEM_BINARY: named, PATH }))).toBe(named);
    expect(await findMongod(search({ PATH }))).toBe(onPath);
    expect(await findMongod(search({ PATH: join(root, 'empty') }))).toBe(cached);
    expect(said).toEqual([]);
  });

  test('a MONGOMS_SYSTEM_BINARY that names no program is refused, not passed over', async () => {
    const refusal = findMongod(search({ MONGOMS_SYSTEM_BINARY: join(root, 'absent'), PATH: '' }));
    await expect(refusal).rejects.toThrow(ServerMissing);
    await expect(refusal).rejects.toThrow('MONGOMS_SYSTEM_BINARY');
  });

  test('with neither network nor pip, after a word on each step, an error says what to install or which URI to set', async () => {
    const offline = { PATH: join(root, 'empty'), https_proxy: 'http://127.0.0.1:9' };
    const refusal = findMongod(search(offline));
    await expect(refusal).rejects.toThrow(/Install MongoDB .*MONGODB_URI/);
    expect(said.join('\n')).toMatch(
      /Downloading MongoDB[^]*was not downloaded: [^]*ECONNREFUSED[^]*by pip[^]*pip did not fetch/,
    );
  });
});

describe('redis-server is looked for in order', () => {
  test('REDIS_SERVER_BINARY, then redis-server on PATH, then valkey-server on PATH, then the cache', async () => {
    const named = program('named', 'redis-server');
    const redis = program('redis', 'redis-server');
    const valkey = program('valkey', 'valkey-server');
    const cached = program('cache', 'muster', 'redis-server-6.2');
    const PATH = `${join(root, 'valkey')}:${join(root, 'redis')}`;
    expect(await findRedis(search({ REDIS_SERVER_BINARY: named, PATH }))).toBe(named);
    expect(await findRedis(search({ PATH }))).toBe(redis);
    expect(await findRedis(search({ PATH: join(root, 'valkey') }))).toBe(valkey);
    expect(await findRedis(search({ PATH: join(root, 'empty') }))).toBe(cached);
  });

  test('with neither apt-get nor pip an error says what to install or which URL to set', async () => {
    await expect(findRedis(search({ PATH: join(root, 'empty') }))).rejects.toThrow(/Install Redis .*REDIS_URL/);
  });
});

describe('a wheel', () => {
  const wheel = { package: 'muster-probe', version: '1.0', member: 'probe/bin/probe', as: 'probe-1.0' };
  const python = execFileSync('python3', ['-c', 'import sys; print(sys.executable)'], { encoding: 'utf8' }).trim();

  function shelf(members: Record<string, string>): Search {
    mkdirSync(join(root, 'shelf'), { recursive: true });
    const script = `import zipfile, json, sys
with zipfile.ZipFile(sys.argv[1], 'w') as z:
    for name, text in json.loads(sys.argv[2]).items(): z.writestr(name, text)`;
    const info = 'muster_probe-1.0.dist-info';
    const all = {
      ...members,
      [`${info}/METADATA`]: 'Metadata-Version: 2.1\nName: muster-probe\nVersion: 1.0\n',
      [`${info}/WHEEL`]: 'Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
      [`${info}/RECORD`]: '',
    };
    const archive = join(root, 'shelf', 'muster_probe-1.0-py3-none-any.whl');
    execFileSync(python, ['-c', script, archive, JSON.stringify(all)]);
    return search({ PATH: join(python, '..'), PIP_NO_INDEX: '1', PIP_FIND_LINKS: join(root, 'shelf') });
  }

  test('is fetched by pip, and its binary is kept executable and found in the cache from then on', async () => {
    const where = shelf({ 'muster_probe-1.0.data/purelib/probe/bin/probe': '#!/bin/sh\necho works\n' });
    const path = await fromWheel(wheel)(where);
    expect(path).toBe(join(root, 'cache', 'muster', 'probe-1.0'));
    expect(execFileSync(path as string, { encoding: 'utf8' })).toBe('works\n');
    expect(await inCache('probe-1.0')(where)).toBe(path);
    expect(said).toContain('progress muster-probe');
  });

  test('that breaks off leaves nothing in the cache', async () => {
    await expect(async () => fromWheel(wheel)(shelf({ other: '' }))).rejects.toThrow('holds no probe/bin/probe');
    expect(readdirSync(join(root, 'cache', 'muster'))).toEqual([]);
  });
});
