import type { Store } from '../../../src/store/store.ts';

/** One command of the store's on its way to MongoDB. */
export interface Command {
  readonly name: string;
  /** Counted from when interception began, from 1. */
  readonly number: number;
  readonly inTransaction: boolean;
  /** Documents that it writes, where it has a list of them. */
  readonly documents: number;
}

export interface Steps {
  /** Awaited before the command is sent. */
  before?(command: Command): Promise<void> | void;
  /** Awaited when its reply is there; what it throws the driver takes for an error of the connection. */
  after?(command: Command): Promise<void> | void;
}

interface Connection {
  command(ns: unknown, body: Record<string, unknown>, ...rest: unknown[]): Promise<unknown>;
}
interface Pool {
  checkOut(...parameters: unknown[]): Promise<Connection>;
}

/**
 * Steps in before and after every command that the store sends, below the driver's own retries. Reaches into the driver's
 * pool, for which it has no public door. Returns what ends it, and counts.
 */
export function intercept(store: Store, steps: Steps): { count(): number; stop(): number } {
  const client = store.connection.getClient() as unknown as {
    topology: { s: { servers: Map<string, { pool: Pool }> } };
  };
  let number = 0;
  const stops: (() => void)[] = [];
  for (const { pool } of client.topology.s.servers.values()) {
    const checkOut = pool.checkOut.bind(pool);
    pool.checkOut = async (...parameters) => watched(await checkOut(...parameters));
    stops.push(() => {
      pool.checkOut = checkOut;
    });
  }
  let on = true;
  return {
    count: () => number,
    stop() {
      on = false;
      for (const stop of stops) stop();
      return number;
    },
  };

  function watched(connection: Connection): Connection {
    const send = Object.getPrototypeOf(connection).command as Connection['command'];
    connection.command = async (ns, body, ...rest) => {
      if (!on) return send.call(connection, ns, body, ...rest);
      number += 1;
      const name = Object.keys(body)[0] as string;
      const { length: documents } = (body.documents ?? body.updates ?? []) as unknown[];
      const command: Command = { name, number, inTransaction: isInTransaction(rest[0]), documents };
      await steps.before?.(command);
      const reply = await send.call(connection, ns, body, ...rest);
      await steps.after?.(command);
      return reply;
    };
    return connection;
  }
}

function isInTransaction(options: unknown): boolean {
  return (options as { session?: { inTransaction(): boolean } } | undefined)?.session?.inTransaction() ?? false;
}
