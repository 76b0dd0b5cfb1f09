import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { EngineOptions } from './engine.ts';
import type { Counts } from './point.ts';
import type { Answer, Order } from './worker.ts';

/** How a process ended its order: killed at the point, or done without having come to it. */
export type End = { readonly kind: 'killed' } | { readonly kind: 'done'; readonly counts: Counts };

/** One process of Muster, ready for one order. */
export class Child {
  readonly process: ChildProcess;
  readonly #ready: Promise<unknown>;

  constructor(script: string, { mongodbUri, redisUrl, prefix, lock = 400 }: EngineOptions) {
    const uri = new URL(mongodbUri);
    uri.searchParams.set('appName', childrenOf(prefix));
    this.process = fork(script, [uri.href, redisUrl, prefix, String(lock)], { execArgv: [] });
    this.#ready = this.#next('ready');
    this.#ready.catch(() => undefined);
  }

  /** Carries the order out. @throws where it fails by itself. */
  async carryOut(order: Order): Promise<End> {
    const answer = await this.begin(order);
    return answer();
  }

  /** Gives the order, and a function that awaits its end. */
  async begin(order: Order): Promise<() => Promise<End>> {
    await this.#ready;
    const ended = this.#next('done').then(
      (answer): End => ({ kind: 'done', counts: (answer as Extract<Answer, { kind: 'done' }>).counts }),
      (reason): End => {
        if (reason === 'SIGKILL') return { kind: 'killed' };
        throw reason;
      },
    );
    ended.catch(() => undefined);
    this.process.send(order);
    return () => ended;
  }

  /** Resolves when the process has done to itself what the order says, and lives. */
  acted(): Promise<unknown> {
    return this.#next('acted');
  }

  /** Rejects with the signal where the process is killed. */
  #next(kind: Answer['kind']): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.process.on('message', (answer: Answer) => {
        if (answer.kind === kind) resolve(answer);
        else if (answer.kind === 'failed') reject(new Error(`A process failed: ${answer.error}`));
      });
      this.process.once('exit', (code, signal) => reject(signal ?? new Error(`A process ended with code ${code}.`)));
    });
  }

  async kill(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const gone = once(this.process, 'exit');
    this.process.kill('SIGKILL');
    await gone;
  }
}

/** The name by which MongoDB knows the processes of a world. */
export function childrenOf(prefix: string): string {
  return `child-of-${prefix}`;
}

let bundle: Promise<string> | undefined;

/** The script of `worker.ts` in one file: a process starts in a third of the time. */
export function workerScript(): Promise<string> {
  return (bundle ??= bundleWorker());
}

async function bundleWorker(): Promise<string> {
  const outfile = join(mkdtempSync(join(tmpdir(), 'muster-faults-')), 'worker.mjs');
  await build({
    entryPoints: [fileURLToPath(new URL('worker.ts', import.meta.url))],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    logLevel: 'silent',
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    external: [
      'kerberos',
      'mongodb-client-encryption',
      'snappy',
      'socks',
      'aws4',
      'gcp-metadata',
      '@mongodb-js/zstd',
      '@aws-sdk/*',
    ],
  });
  return outfile;
}
