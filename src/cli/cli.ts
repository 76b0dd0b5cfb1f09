import { userInfo } from 'node:os';
import { LAST, type Muster, openMuster } from './environment.ts';
import { Interrupted } from './interrupted.ts';
import { Output, type Streams } from './output.ts';

export interface CliOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** Working directory: `config/feeds/`, `.env`, and what relative paths start from. */
  readonly directory?: string;
  /** Aborted when the command is to end: SIGINT, SIGTERM, a closed pipe. */
  readonly stopping?: AbortSignal;
}

/** One call of the command line: its streams, its exit code, and the environment, opened when first asked for. */
export class Cli {
  readonly out: Output;
  readonly stdin: Streams['stdin'];
  /** A copy: what a command sets here is for this call alone. */
  readonly env: NodeJS.ProcessEnv;
  readonly directory: string;
  readonly stopping: AbortSignal;
  /** Exit code of a command that ends without an error. */
  exit = 0;
  /** The command ends by itself, and with exit code 0, when it is told to stop. */
  serving = false;
  #muster: Promise<Muster> | undefined;
  /** When it was told to stop, by `performance.now()`. */
  #stopped: number | undefined;

  constructor(streams: Streams, options: CliOptions) {
    this.out = new Output(streams);
    this.stdin = streams.stdin;
    this.env = { ...(options.env ?? process.env) };
    this.directory = options.directory ?? process.cwd();
    this.stopping = options.stopping ?? new AbortController().signal;
    this.stopping.addEventListener('abort', () => {
      this.#stopped = performance.now();
    });
  }

  /** Who does what this command does, for the audit. */
  get by(): string {
    return `cli:${userInfo().username}`;
  }

  open(): Promise<Muster> {
    this.#muster ??= openMuster({
      env: this.env,
      directory: this.directory,
      stderr: this.out.streams.stderr,
      service: this.serving,
    });
    return this.#muster;
  }

  /** Settles as `work` does, or rejects with Interrupted when the command is told to stop first (a service ends by itself). */
  async untilStopped<T>(work: Promise<T>): Promise<T> {
    const { stopping } = this;
    let stop = () => {};
    const stopped = new Promise<never>((_, reject) => {
      stop = () => {
        if (!this.serving) reject(new Interrupted());
      };
    });
    stopping.addEventListener('abort', stop, { once: true });
    if (stopping.aborted) stop();
    try {
      return await Promise.race([work, stopped]);
    } finally {
      stopping.removeEventListener('abort', stop);
    }
  }

  async close(): Promise<void> {
    const muster = await this.#muster?.catch(() => undefined);
    await muster?.close(this.#stopped && this.#stopped + LAST);
  }
}
