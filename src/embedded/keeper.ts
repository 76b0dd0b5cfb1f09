/**
 * The process that owns the embedded servers of one data directory. It is started by the first command that needs
 * them (`keeper HOME [SWEEP]`), serves every command through a socket named in the lock file, and ends with the last of them:
 * a connection that closes, by whatever kind of end, is a command that has gone. The servers end with it (see watcher.ts).
 */
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { ServerName } from './identity.ts';
import { type Holder, takeLock } from './lock.ts';
import { onAsk, send } from './messages.ts';
import { commandOf, isAlive, sendSignal } from './process.ts';
import type { Order } from './programs.ts';
import { type Supervised, supervise } from './supervisor.ts';

const [home = '', sweep] = process.argv.slice(2);
/** A command that started the keeper and died before it connected leaves it alone for no longer than this. */
const FIRST_CLIENT_MS = 10_000;
/** Socket paths may have 107 bytes, fewer on some systems. */
const SOCKET_DIRECTORY_BYTES = 70;

process.umask(0o077);
const directory = Buffer.byteLength(tmpdir()) > SOCKET_DIRECTORY_BYTES ? '/tmp' : tmpdir();
const socketPath = join(directory, `muster-${randomBytes(12).toString('hex')}.sock`);
const clients = new Set<Socket>();
const servers = new Map<ServerName, Promise<Supervised>>();
const pids: Partial<Record<ServerName, number>> = {};
let ending = false;
let release = (): void => {};
let record: (servers: Readonly<Record<string, number>>) => void = () => {};
let cleared: Promise<void> = Promise.resolve();

const door = createServer({ allowHalfOpen: true }, welcome);
door.listen(socketPath, () => {
  const lock = takeLock(join(home, 'keeper.lock'), socketPath);
  if (lock === undefined) {
    door.close(() => process.exit(0));
    return;
  }
  ({ release, record } = lock);
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => void end());
  cleared = clearAway(lock.stale);
  setTimeout(() => clients.size === 0 && void end(), FIRST_CLIENT_MS).unref();
});

function welcome(client: Socket): void {
  if (ending) {
    client.destroy();
    return;
  }
  clients.add(client);
  let left = false;
  const leave = () => {
    if (left) return;
    left = true;
    if (clients.size > 1 || ending) {
      clients.delete(client);
      client.end();
    } else void end();
  };
  client.on('error', () => {});
  client.on('end', leave);
  client.on('close', leave);
  onAsk(client, ({ order }) => void serve(client, order));
  send(client, { kind: 'hello', running: [...servers.keys()] });
}

/** Starts the server, or finds it started, and tells the command how to reach it. */
async function serve(client: Socket, order: Order): Promise<void> {
  const { server } = order;
  try {
    await cleared;
    const begun =
      servers.get(server) ?? supervise(order, home, sweep, (pid) => record(Object.assign(pids, { [server]: pid })));
    servers.set(server, begun);
    const { port, password } = await begun;
    send(client, { kind: 'started', server, port, password });
  } catch (error) {
    servers.delete(server);
    send(client, { kind: 'failed', server, reason: (error as Error).message });
  }
}

/** Ends the servers that a killed keeper left behind, if any is left; their own watchers are about to do the same. */
async function clearAway(stale: Holder | undefined): Promise<void> {
  for (const pid of Object.values(stale?.servers ?? {})) {
    while (isAlive(pid) && commandOf(pid).includes(home)) {
      sendSignal(pid, 'SIGKILL');
      await pause(10);
    }
  }
  if (stale !== undefined) rmSync(stale.socket, { force: true });
}

async function end(): Promise<void> {
  if (ending) return;
  ending = true;
  door.close();
  rmSync(socketPath, { force: true });
  const begun = await Promise.allSettled(servers.values());
  await Promise.all(begun.map(async (server) => server.status === 'fulfilled' && server.value.stop()));
  release();
  if (sweep !== undefined) rmSync(sweep, { recursive: true, force: true });
  await Promise.all([...clients].map((client) => new Promise<void>((resolve) => client.end(resolve))));
  process.exit(0);
}
