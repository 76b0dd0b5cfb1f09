import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import mongoose from 'mongoose';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Holder, readHolder } from '../../../src/embedded/lock.ts';
import { isAlive } from '../../../src/embedded/process.ts';

const TEMPORARY = readdirSync('/dev').includes('shm') ? '/dev/shm' : '/tmp';
const COMMAND = fileURLToPath(new URL('./command.ts', import.meta.url));

let data: string;
let commands: ChildProcess[];
beforeEach(() => {
  data = mkdtempSync(join(TEMPORARY, 'muster-life-'));
  commands = [];
});
afterEach(async () => {
  for (const command of commands) command.kill('SIGKILL');
  await nothingLeft();
  rmSync(data, { recursive: true, force: true });
});

interface Running {
  readonly process: ChildProcess;
  readonly mongodbUri: string;
  readonly redisUrl: string;
}

async function command(kinds = 'redis', ...more: string[]): Promise<Running> {
  const child = spawn(process.execPath, ['--import', 'tsx', COMMAND, data, kinds, ...more], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  commands.push(child);
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  return { process: child, ...(JSON.parse(line) as { mongodbUri: string; redisUrl: string }) };
}

async function leave({ process }: Running): Promise<void> {
  process.stdin?.end();
  await once(process, 'exit');
}

function holder(): Holder {
  const found = readHolder(join(data, 'servers/keeper.lock'));
  if (found === undefined) throw new Error('Nobody holds the lock.');
  return found;
}

/** Processes whose command line names this test's data: keeper, watchers, servers. */
function processes(): string[] {
  const all = execFileSync('ps', ['-ww', '-eo', 'pid,args'], { encoding: 'utf8' }).split('\n');
  return all.filter((line) => line.includes(data) && !line.includes(COMMAND));
}

const eventually = (check: () => unknown) => vi.waitFor(check, { timeout: 25_000, interval: 20 });
async function nothingLeft(): Promise<boolean> {
  await eventually(() => expect(processes()).toEqual([]));
  return true;
}

async function asking<T>(url: string, ask: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(url);
  return ask(redis).finally(() => redis.disconnect());
}

describe('one owner, whom others join', () => {
  test('two commands that start at once get the same servers from exactly one keeper', async () => {
    const [one, other, third] = await Promise.all([command(), command(), command()]);
    expect(other.redisUrl).toBe(one.redisUrl);
    expect(third.redisUrl).toBe(one.redisUrl);
    // Those that found the lock taken end by themselves.
    await eventually(() => expect(processes().filter((line) => line.includes('keeper.ts'))).toHaveLength(1));
    expect(
      processes().filter((line) => /\bredis-server\b.*redis\.conf$/.test(line) && !line.includes('/bin/sh')),
    ).toHaveLength(1);
  });

  test('the servers outlive the command that started them while another uses them, and stop before the last one ends', async () => {
    const first = await command();
    const second = await command();
    await leave(first);
    expect(await asking(second.redisUrl, (redis) => redis.ping())).toBe('PONG');
    const { pid, servers, socket } = holder();
    await leave(second);
    expect(isAlive(servers.redis as number)).toBe(false);
    expect(readdirSync(join(socket, '..'))).not.toContain(socket.split('/').at(-1));
    await eventually(() => expect(isAlive(pid)).toBe(false));
  });

  test('a command can ask for a server that the keeper does not run yet', async () => {
    const first = await command('redis');
    const second = await command('mongodb redis');
    expect(second.redisUrl).toBe(first.redisUrl);
    expect(second.mongodbUri).toContain('replicaSet=muster');
  });

  test('the servers ask for a password', async () => {
    const { redisUrl } = await command();
    const redis = new Redis(redisUrl.replace(/:[^:@]+@/, ''), { lazyConnect: true });
    redis.on('error', () => {});
    await expect(redis.ping()).rejects.toThrow('NOAUTH');
    redis.disconnect();
  });
});

describe('nothing is left behind', () => {
  test('after SIGKILL of the only command', async () => {
    const { process } = await command('mongodb redis');
    process.kill('SIGKILL');
    expect(await nothingLeft()).toBe(true);
  });

  test('after SIGKILL of the keeper', async () => {
    await command('mongodb redis');
    process.kill(holder().pid, 'SIGKILL');
    expect(await nothingLeft()).toBe(true);
  });

  test('after SIGKILL of command and keeper', async () => {
    const started = await command('mongodb redis');
    process.kill(holder().pid, 'SIGKILL');
    started.process.kill('SIGKILL');
    expect(await nothingLeft()).toBe(true);
  });

  test('of ephemeral data either, after a normal end and after SIGKILL of the keeper', async () => {
    await leave(await command('redis', data));
    expect(readdirSync(data)).toEqual([]);
    await command('redis', data);
    const keeper = processes().find((line) => line.includes('keeper.ts'));
    process.kill(Number.parseInt(keeper ?? '', 10), 'SIGKILL');
    await eventually(() => expect(readdirSync(data)).toEqual([]));
  });

  test('of a killed keeper whose watcher was killed too: the next start ends the orphan and takes the lock over', async () => {
    await command();
    const { pid, servers } = holder();
    const watchers = processes().filter((line) => line.includes('muster-watch'));
    process.kill(pid, 'SIGSTOP');
    for (const watcher of watchers) process.kill(Number.parseInt(watcher, 10), 'SIGKILL');
    process.kill(pid, 'SIGKILL');
    await eventually(() => expect(isAlive(pid)).toBe(false));
    expect(isAlive(servers.redis as number)).toBe(true);
    const next = await command();
    expect(isAlive(servers.redis as number)).toBe(false);
    expect(await asking(next.redisUrl, (redis) => redis.ping())).toBe('PONG');
  });
});

describe('data outlive', () => {
  test('a SIGKILL of everything, in Redis and in MongoDB, and a later start on other ports', async () => {
    const first = await command('mongodb redis');
    const connection = await mongoose.createConnection(first.mongodbUri).asPromise();
    await connection.collection('facts').insertOne({ held: true }, { writeConcern: { w: 'majority' } });
    await connection.close();
    await asking(first.redisUrl, (redis) => redis.set('held', 'yes'));
    process.kill(holder().pid, 'SIGKILL');
    await nothingLeft();

    const squatters = await Promise.all([first.redisUrl, first.mongodbUri].map(squat));
    const second = await command('mongodb redis');
    expect(new URL(second.mongodbUri).port).not.toBe(new URL(first.mongodbUri).port);
    const again = await mongoose.createConnection(second.mongodbUri).asPromise();
    expect(await again.collection('facts').countDocuments({ held: true })).toBe(1);
    await again.close();
    expect(await asking(second.redisUrl, (redis) => redis.get('held'))).toBe('yes');
    for (const squatter of squatters) squatter.kill();
  });

  test('a SIGKILL of a server: the keeper starts it again at the same address', async () => {
    const { redisUrl } = await command();
    await asking(redisUrl, (redis) => redis.set('held', 'yes'));
    const before = holder().servers.redis as number;
    process.kill(before, 'SIGKILL');
    await eventually(() => expect(holder().servers.redis).not.toBe(before));
    expect(await asking(redisUrl, (redis) => redis.get('held'))).toBe('yes');
  });
});

/** Somebody else who listens on a server's former port. */
async function squat(uri: string): Promise<ChildProcess> {
  const script = `require('net').createServer((socket) => socket.destroy()).listen(${new URL(uri).port}, '127.0.0.1', () => console.log('listening'))`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  commands.push(child);
  await once(child.stdout, 'data');
  return child;
}
