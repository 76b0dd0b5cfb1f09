import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ServerFailed } from './errors.ts';
import type { ServerName } from './identity.ts';
import { holderLives, readHolder } from './lock.ts';
import { onTell, send, type Tell } from './messages.ts';
import type { Order } from './programs.ts';
import { scriptBeside } from './script.ts';

type Told = Extract<Tell, { kind: 'started' | 'failed' }>;

/** A command's connection to the keeper; while it lasts, the servers run. */
export interface KeeperClient {
  /** Servers that ran when the command joined. */
  readonly running: readonly ServerName[];
  start(order: Order): Promise<Told>;
  /** Settles when the keeper has let go: at once where others use the servers, else after they have stopped. */
  readonly leave: () => Promise<void>;
}

const JOIN_MS = 60_000;

/** Joins the keeper of `home`, and starts one where none lives. @throws {ServerFailed} */
export async function joinKeeper(home: string, sweep?: string): Promise<KeeperClient> {
  const path = join(home, 'keeper.lock');
  const deadline = Date.now() + JOIN_MS;
  let starting: { readonly ended: () => boolean } | undefined;
  while (Date.now() < deadline) {
    const holder = readHolder(path);
    if (holder !== undefined && holderLives(holder)) {
      const joined = await greet(holder.socket);
      if (joined !== undefined) return joined;
    } else if (starting === undefined || starting.ended()) {
      starting = startKeeper(home, sweep);
    }
    await pause(10);
  }
  throw new ServerFailed(
    `The process that owns the embedded servers in ${home} did not answer within 60 s, so this command has no database. ` +
      `Look into ${join(home, 'keeper.log')}, or name servers of your own in MONGODB_URI and REDIS_URL.`,
  );
}

function startKeeper(home: string, sweep: string | undefined): { readonly ended: () => boolean } {
  const log = openSync(join(home, 'keeper.log'), 'a', 0o600);
  const { NODE_OPTIONS: _, ...env } = process.env;
  const keeper = spawn(
    process.execPath,
    [...scriptBeside(import.meta.url, 'keeper'), home, ...(sweep === undefined ? [] : [sweep])],
    {
      detached: true,
      stdio: ['ignore', log, log],
      env,
    },
  );
  closeSync(log);
  keeper.unref();
  let over = false;
  keeper.once('error', () => (over = true));
  keeper.once('exit', () => (over = true));
  return { ended: () => over };
}

/** Undefined where the keeper does not answer, be it not yet or no more. */
async function greet(path: string): Promise<KeeperClient | undefined> {
  const socket = connect(path);
  const awaited = new Map<ServerName, (told: Told) => void>();
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.on('error', () => {});
  const hello = new Promise<readonly ServerName[]>((resolve) =>
    onTell(socket, (tell) => {
      if (tell.kind === 'hello') resolve(tell.running);
      else awaited.get(tell.server)?.(tell);
    }),
  );
  const running = await Promise.race([hello, closed]);
  if (running === undefined) return undefined;
  socket.unref();
  return {
    running,
    async start(order) {
      socket.ref();
      const told = new Promise<Told>((resolve) => awaited.set(order.server, resolve));
      send(socket, { kind: 'start', order });
      const answer = await Promise.race([told, closed]);
      awaited.delete(order.server);
      // A command that forgets to leave may end all the same; one that awaits a server may not.
      if (awaited.size === 0) socket.unref();
      return answer ?? { kind: 'failed', server: order.server, reason: LOST };
    },
    async leave() {
      socket.ref();
      socket.end();
      await closed;
    },
  };
}

const LOST = 'The process that owns the embedded servers ended before the server was started. Start the command again.';
