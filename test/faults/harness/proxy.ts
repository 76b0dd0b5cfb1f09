import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** Stands between Muster and a server on this loopback port, and can stop to take or give a single byte. */
export class StallingProxy {
  readonly port: number;
  readonly #sockets: Set<Socket>;
  readonly #close: () => Promise<void>;
  #stalls = false;

  private constructor(port: number, sockets: Set<Socket>, close: () => Promise<void>) {
    this.port = port;
    this.#sockets = sockets;
    this.#close = close;
  }

  static async open(to: number): Promise<StallingProxy> {
    const sockets = new Set<Socket>();
    const join = (from: Socket, into: Socket) => {
      sockets.add(from);
      from.pipe(into);
      // One end gone is the other one's end too.
      from.on('error', () => into.destroy());
      from.on('close', () => {
        sockets.delete(from);
        into.destroy();
      });
      if (proxy.#stalls) from.pause();
    };
    const server = createServer((client) => {
      const target = connect(to, '127.0.0.1');
      join(client, target);
      join(target, client);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const proxy = new StallingProxy((server.address() as AddressInfo).port, sockets, async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    });
    return proxy;
  }

  /** Connections stay open, new ones are accepted, and nothing comes through. */
  stall(): void {
    this.#stalls = true;
    for (const socket of this.#sockets) socket.pause();
  }

  /** What was held back comes through, in its order. */
  flow(): void {
    this.#stalls = false;
    for (const socket of this.#sockets) socket.resume();
  }

  /** Every connection breaks at once (RST), with what is on its way. */
  reset(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  close(): Promise<void> {
    return this.#close();
  }
}
