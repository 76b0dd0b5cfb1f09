import { closeSync, existsSync, openSync, readSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ServerFailed } from './errors.ts';
import { freePort, identityOf, saveIdentity } from './identity.ts';
import { type Order, programOf } from './programs.ts';
import { type Watched, watch } from './watcher.ts';

/** One server that is kept running. */
export interface Supervised {
  readonly port: number;
  readonly password: string;
  stop(): Promise<void>;
}

const START_MS = 60_000;
const LOG_BYTES = 20_000_000;
/** A server that ends more often within a minute lacks something, as room on its disk, and is started again slowly. */
const RESTARTS_A_MINUTE = 5;
const SLOWLY_MS = 10_000;

/**
 * Starts a server below `home`, and starts it again on the same port when it ends by itself, for as long as it takes.
 * `running` hears of each new process id. @throws {ServerFailed} with the end of the server's log.
 */
export async function supervise(
  order: Order,
  home: string,
  sweep: string | undefined,
  running: (pid: number) => void,
): Promise<Supervised> {
  const log = join(home, `${order.server}.log`);
  if (existsSync(log) && statSync(log).size > LOG_BYTES) renameSync(log, `${log}.1`);
  const identity = identityOf(home);
  let { port, server } = await begin(await freePort(identity.ports[order.server]), 2);
  // Read again: the other server may have been started meanwhile.
  const known = identityOf(home);
  saveIdentity(home, { ...known, ports: { ...known.ports, [order.server]: port } });

  const stopping = new AbortController();
  const { signal } = stopping;
  const keepUp = async (): Promise<void> => {
    for (let ends: number[] = []; ; ) {
      await server.ended;
      ends = [...ends.filter((at) => at > Date.now() - 60_000), Date.now()];
      if (ends.length > RESTARTS_A_MINUTE) await pause(SLOWLY_MS, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      try {
        ({ server } = await begin(port, 0));
      } catch (error) {
        process.stderr.write(`${String(error)}\n`);
      }
      if (signal.aborted) return server.stop();
    }
  };
  const kept = keepUp();
  return {
    port,
    password: identity.password,
    async stop() {
      stopping.abort();
      await server.stop();
      // It may just be starting again.
      await kept;
    },
  };

  async function begin(on: number, otherPorts: number): Promise<{ port: number; server: Watched }> {
    const program = programOf(order, home, on, identity.password);
    const from = existsSync(log) ? statSync(log).size : 0;
    const begun = await watch(program.command, log, sweep);
    running(begun.pid);
    const enough = new AbortController();
    const late = setTimeout(() => enough.abort(), START_MS);
    const how = await Promise.race([program.ready(enough.signal), begun.ended]);
    const works = how === undefined && !enough.signal.aborted;
    clearTimeout(late);
    enough.abort();
    if (works) return { port: on, server: begun };
    await begun.stop();
    const said = tail(log, from);
    if (/address already in use/i.test(said) && otherPorts > 0) return begin(await freePort(), otherPorts - 1);
    throw new ServerFailed(
      `The embedded ${order.server} (${order.binary}) did not start: ${how ?? 'no answer within 60 s'}. Its log ${log} ends with:\n${said}\n` +
        `Remove the cause, or name a server of your own in ${order.server === 'mongodb' ? 'MONGODB_URI' : 'REDIS_URL'}.`,
    );
  }
}

/** The last 2,000 bytes of what was written after `from`. */
function tail(path: string, from: number): string {
  const size = existsSync(path) ? statSync(path).size : 0;
  const start = Math.max(from, size - 2000);
  const bytes = Buffer.alloc(Math.max(0, size - start));
  if (bytes.length === 0) return '(nothing)';
  const file = openSync(path, 'r');
  readSync(file, bytes, 0, bytes.length, start);
  closeSync(file);
  return bytes.toString('utf8').trim();
}
