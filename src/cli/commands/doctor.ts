import { existsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import { MusterError } from '../../domain/errors.ts';
import type { Examination } from '../../http/context.ts';
import { type FeedView, viewFeeds } from '../../run/views/feedView.ts';
import { type Finding, messages } from '../../run/views/messagesView.ts';
import { readEnv } from '../../settings/env.ts';
import type { Services } from '../../store/services.ts';
import type { Store } from '../../store/store.ts';
import type { Cli } from '../cli.ts';
import { type JsonOption, printsFacts } from '../options.ts';
import { printable } from '../table.ts';

const LEAST_DISK = 1_000_000_000;
/** Clocks that differ by more make times of windows and runs wrong, ms. */
const MOST_SKEW = 5_000;

export function addDoctor(program: Command, cli: Cli): void {
  printsFacts(
    program
      .command('doctor')
      .description('looks at all that Muster needs, and says what to do where something is wrong')
      .action(({ json }: JsonOption) => show(cli, json)),
    'muster doctor',
  );
}

async function show(cli: Cli, json: boolean | undefined): Promise<void> {
  const { ok, findings } = await examine(cli);
  cli.out.show(json, { ok, findings }, () => findings.map(line).join('\n'));
  if (!ok) cli.exit = 1;
}

/** Looks at everything; what cannot be looked at is a finding as well. */
export async function examine(cli: Cli): Promise<Examination> {
  const findings: Finding[] = [];
  const look = async (name: string, check: () => Promise<Finding[]>) => {
    try {
      findings.push(...(await check()));
    } catch (error) {
      findings.push(failure(name, error));
    }
  };
  await look('settings', async () => [settings(cli)]);
  await look('disk', async () => [await disk(cli)]);
  await look('MongoDB', async () => {
    const { store, services, env } = await cli.open();
    return [
      ...(await mongo(store, env.MONGODB_URI === undefined)),
      await clock(store),
      ...(await feeds(services)),
      ...(await messages(services, env.SMTP_URL !== undefined)),
    ];
  });
  await look('Redis', async () => [await redis(cli)]);
  return { ok: findings.every((finding) => finding.ok), findings };
}

function line({ name, ok, found, remedy }: Finding): string {
  return printable(`${ok ? 'well ' : 'WRONG'}  ${name}: ${found}`) + (remedy ? `\n       ${remedy}` : '');
}

function failure(name: string, error: unknown): Finding {
  const { message } = error as Error;
  if (error instanceof MusterError)
    return { name, ok: false, found: message, remedy: 'Do what it says, then look again.' };
  const variable = name === 'Redis' ? 'REDIS_URL' : 'MONGODB_URI';
  return {
    name,
    ok: false,
    found: message,
    remedy: `See that the server runs and that ${variable} names it, or unset ${variable} for the embedded one.`,
  };
}

function settings(cli: Cli): Finding {
  readEnv(cli.env, cli.directory);
  return { name: 'settings', ok: true, found: `Node ${process.versions.node}, every variable is valid` };
}

async function disk(cli: Cli): Promise<Finding> {
  let directory = resolve(cli.directory, readEnv(cli.env, cli.directory).MUSTER_DATA);
  while (!existsSync(directory)) directory = dirname(directory);
  const { bavail, bsize } = await statfs(directory);
  const free = bavail * bsize;
  const found = `${(free / 1e9).toFixed(1)} GB free where MUSTER_DATA lies (${directory})`;
  if (free >= LEAST_DISK) return { name: 'disk', ok: true, found };
  return { name: 'disk', ok: false, found, remedy: 'Free some: below 1 GB the embedded servers may stop writing.' };
}

async function mongo(store: Store, embedded: boolean): Promise<Finding[]> {
  const admin = store.connection.getClient().db('admin');
  const [{ version }, hello] = [await admin.command({ buildInfo: 1 }), await admin.command({ hello: 1 })];
  const where = embedded ? 'embedded' : 'of MONGODB_URI';
  const members: readonly string[] = hello.hosts ?? [];
  const set = hello.setName === undefined ? 'sharded' : `replica set ${hello.setName} of ${members.length}`;
  return [{ name: 'MongoDB', ok: true, found: `${where}, version ${version}, ${set}` }];
}

async function clock(store: Store): Promise<Finding> {
  const before = Date.now();
  const { localTime } = await store.connection.getClient().db('admin').command({ hello: 1 });
  const after = Date.now();
  const skew = Math.max(before - (localTime as Date).getTime(), (localTime as Date).getTime() - after, 0);
  const found = skew === 0 ? 'as that of MongoDB' : `differs from that of MongoDB by ${skew} ms`;
  if (skew <= MOST_SKEW) return { name: 'clock', ok: true, found };
  return { name: 'clock', ok: false, found, remedy: 'Set both clocks by NTP: windows and schedules follow them.' };
}

async function feeds(services: Services): Promise<Finding[]> {
  return (await viewFeeds(services)).map(({ name, schedule, lastRun, nextDue, quarantined }) => {
    const { cron, timeZone } = schedule;
    const when = cron === undefined ? 'run by hand' : `scheduled ${cron} ${timeZone}`;
    const next = quarantined ? 'in quarantine' : nextDue && `next at ${nextDue.toISOString()}`;
    const last = `last run ${lastRun ? `${lastRun.run} ${lastRun.state}` : 'none'}`;
    const remedy = feedRemedy(name, lastRun, quarantined !== null);
    const found = [when, next, last].filter(Boolean).join(', ');
    return { name: `feed ${name}`, ok: remedy === undefined, found, ...(remedy !== undefined && { remedy }) };
  });
}

function feedRemedy(name: string, lastRun: FeedView['lastRun'], quarantined: boolean): string | undefined {
  if (quarantined) {
    return `It failed or was held again and again. Look why, then let it go on: muster runs list --feed ${name}, muster feeds release ${name}`;
  }
  if (lastRun?.state === 'failed') return `Look why: muster runs show ${lastRun.run}`;
  if (lastRun?.state === 'held') return `Look at it, then approve or reject it: muster runs show ${lastRun.run}`;
  return undefined;
}

async function redis(cli: Cli): Promise<Finding> {
  const muster = await cli.open();
  const { redis: connection } = await muster.queues();
  const info = await connection.info();
  const field = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? 'unknown';
  const where = muster.env.REDIS_URL === undefined ? 'embedded' : 'of REDIS_URL';
  return {
    name: 'Redis',
    ok: true,
    found: `${where}, version ${field('redis_version')}, maxmemory-policy ${field('maxmemory_policy')}, AOF ${field('aof_enabled') === '1' ? 'on' : 'off'}`,
  };
}
