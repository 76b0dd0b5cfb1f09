import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findMongod } from '../../../src/embedded/binaries/mongod.ts';
import { findRedis } from '../../../src/embedded/binaries/redis.ts';
import { freePort } from '../../../src/embedded/identity.ts';
import { ready } from '../../../src/embedded/ready.ts';
import { silent } from '../../../src/embedded/say.ts';
import { type Watched, watch } from '../../../src/embedded/watcher.ts';
import { initiateReplicaSet } from '../../../src/store/replicaSet.ts';
import { type SmallDisk, smallDisk } from './disk.ts';

/** A server of a test's own, on one port for all of its lives: it may be killed and started again. */
export abstract class OwnServer {
  readonly port: number;
  /** Of its data. */
  readonly directory: string;
  readonly #home: string;
  #disk: SmallDisk | undefined;
  #running: Watched | undefined;

  protected constructor(port: number) {
    this.port = port;
    this.#home = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'muster-fault-server-'));
    this.directory = join(this.#home, 'data');
    mkdirSync(this.directory);
  }

  protected abstract command(): readonly string[];
  protected abstract answer(): { send: string; answer: string } | undefined;

  /** Settles when it answers. */
  async start(): Promise<void> {
    const command = this.command();
    this.#running = await watch(this.#disk?.inside(command) ?? command, join(this.#home, 'log'));
    await ready(this.port, AbortSignal.timeout(30_000), this.answer());
  }

  /** Gives it, before it starts, a disk of its own that can be full. */
  async useDisk(megabytes: number): Promise<SmallDisk> {
    return (this.#disk = await smallDisk(this.directory, megabytes));
  }

  get pid(): number {
    return (this.#running as Watched).pid;
  }

  signal(signal: NodeJS.Signals): void {
    process.kill(this.pid, signal);
  }

  /** Settles when it has ended, however it does. */
  async ended(): Promise<void> {
    await this.#running?.ended;
    this.#running = undefined;
  }

  /** As a crash: nothing is written any more. */
  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.ended();
  }

  /** Ends it in order, so that its data can be copied. */
  async stop(): Promise<void> {
    await this.#running?.stop();
    this.#running = undefined;
  }

  /** Copies its data, while it is not running; `swapIn` puts them in the place of those that it has by then. */
  backUp(): { swapIn(): void } {
    const copy = join(this.#home, 'copy');
    rmSync(copy, { recursive: true, force: true });
    cpSync(this.directory, copy, { recursive: true });
    return {
      swapIn: () => {
        rmSync(this.directory, { recursive: true });
        cpSync(copy, this.directory, { recursive: true });
      },
    };
  }

  async close(): Promise<void> {
    if (this.#running) await this.kill();
    await this.#disk?.close();
    rmSync(this.#home, { recursive: true, force: true });
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
  static async prepare(): Promise<OwnRedis> {
    return new OwnRedis(await findRedis({ env: process.env, say: silent }), await freePort());
  }

  static async start(): Promise<OwnRedis> {
    const server = await OwnRedis.prepare();
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

const SET = 'faults';

export class OwnMongod extends OwnServer {
  readonly #binary: string;
  readonly #more: readonly string[];

  private constructor(binary: string, port: number, more: readonly string[]) {
    super(port);
    this.#binary = binary;
    this.#more = more;
  }

  /** With fail points. `more`: further options of the command line. */
  static async prepare(more: readonly string[] = []): Promise<OwnMongod> {
    return new OwnMongod(await findMongod({ env: process.env, say: silent }), await freePort(), more);
  }

  /** A replica set of one node. */
  static async start(): Promise<OwnMongod> {
    const server = await OwnMongod.prepare();
    await server.start();
    await server.initiate();
    return server;
  }

  async initiate(): Promise<void> {
    const [uri, host] = [`mongodb://${this.host}/?directConnection=true`, this.host];
    await initiateReplicaSet({ uri, name: SET, host, user: 'muster', password: 'faults' });
  }

  get host(): string {
    return `127.0.0.1:${this.port}`;
  }

  uri(database: string): string {
    return uriOf([this], database);
  }

  protected command(): readonly string[] {
    const options = {
      dbpath: this.directory,
      port: this.port,
      bind_ip: '127.0.0.1',
      replSet: SET,
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
      ...this.#more,
    ];
  }

  protected answer() {
    return undefined;
  }
}

/** The replica set that these are the members of. */
export function uriOf(members: readonly OwnMongod[], database: string): string {
  return `mongodb://${members.map(({ host }) => host).join(',')}/${database}?replicaSet=${SET}`;
}
