import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findMongod } from '../../../src/embedded/binaries/mongod.ts';
import { findRedis } from '../../../src/embedded/binaries/redis.ts';
import { freePort } from '../../../src/embedded/identity.ts';
import { ready } from '../../../src/embedded/ready.ts';
import { silent } from '../../../src/embedded/say.ts';
import { type Watched, watch } from '../../../src/embedded/watcher.ts';
import { initiateReplicaSet } from '../../../src/store/replicaSet.ts';

/** A server of a test's own, on one port for all of its lives: it may be killed and started again. */
export abstract class OwnServer {
  readonly port: number;
  readonly directory: string;
  #running: Watched | undefined;

  protected constructor(port: number) {
    this.port = port;
    this.directory = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'muster-fault-server-'));
  }

  protected abstract command(): readonly string[];
  protected abstract answer(): { send: string; answer: string } | undefined;

  /** Settles when it answers. */
  async start(): Promise<void> {
    this.#running = await watch(this.command(), join(this.directory, 'log'));
    await ready(this.port, AbortSignal.timeout(30_000), this.answer());
  }

  signal(signal: NodeJS.Signals): void {
    process.kill((this.#running as Watched).pid, signal);
  }

  /** As a crash: nothing is written any more. */
  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.#running?.ended;
    this.#running = undefined;
  }

  async close(): Promise<void> {
    if (this.#running) await this.kill();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export class OwnRedis extends OwnServer {
  readonly #binary: string;
  readonly url: string;

  private constructor(binary: string, port: number) {
    super(port);
    this.#binary = binary;
    this.url = `redis://127.0.0.1:${port}`;
  }

  /** As the embedded one: an append-only file, synchronised every second, `noeviction`. */
  static async start(): Promise<OwnRedis> {
    const server = new OwnRedis(await findRedis({ env: process.env, say: silent }), await freePort());
    await server.start();
    return server;
  }

  protected command(): readonly string[] {
    const options = { port: this.port, bind: '127.0.0.1', dir: this.directory, appendonly: 'yes', save: '' };
    return [this.#binary, ...Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)])];
  }

  protected answer() {
    return { send: 'PING\r\n', answer: '+PONG' };
  }
}

export class OwnMongod extends OwnServer {
  readonly #binary: string;

  private constructor(binary: string, port: number) {
    super(port);
    this.#binary = binary;
  }

  /** A replica set of one node, with fail points. */
  static async start(): Promise<OwnMongod> {
    const server = new OwnMongod(await findMongod({ env: process.env, say: silent }), await freePort());
    await server.start();
    await initiateReplicaSet({
      uri: `mongodb://127.0.0.1:${server.port}/?directConnection=true`,
      name: 'faults',
      host: `127.0.0.1:${server.port}`,
      user: 'muster',
      password: 'faults',
    });
    return server;
  }

  uri(database: string): string {
    return `mongodb://127.0.0.1:${this.port}/${database}?replicaSet=faults`;
  }

  protected command(): readonly string[] {
    const options = {
      dbpath: this.directory,
      port: this.port,
      bind_ip: '127.0.0.1',
      replSet: 'faults',
      oplogSize: 100,
    };
    const parameters = ['enableTestCommands=1', 'diagnosticDataCollectionEnabled=false'];
    return [
      this.#binary,
      '--quiet',
      '--nounixsocket',
      '--wiredTigerCacheSizeGB=0.25',
      ...Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]),
      ...parameters.flatMap((parameter) => ['--setParameter', parameter]),
    ];
  }

  protected answer() {
    return undefined;
  }
}
