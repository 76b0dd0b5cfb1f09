import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { afterAll } from 'vitest';
import { main } from '../../../src/cli/program.ts';
import type { TestMuster } from '../../harness.ts';
import { freshDatabase } from '../../servers.ts';

export interface Call {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command line as a person meets it, in this process, with a database and a working directory of its own. */
export class CommandLine {
  readonly env: NodeJS.ProcessEnv;
  readonly directory: string;

  constructor(env: NodeJS.ProcessEnv, directory = mkdtempSync(join(tmpdir(), 'muster-cli-'))) {
    this.env = env;
    this.directory = directory;
  }

  async call(
    args: readonly string[],
    { stdin = '', env = {} }: { stdin?: string; env?: NodeJS.ProcessEnv } = {},
  ): Promise<Call> {
    const [stdout, stderr] = [new Gathered(), new Gathered()];
    const streams = { stdin: Readable.from([Buffer.from(stdin)]), stdout: stdout.stream, stderr: stderr.stream };
    const exit = await main(args, streams, { env: { ...this.env, ...env }, directory: this.directory });
    return { exit, stdout: stdout.text, stderr: stderr.text };
  }

  /** A call that must end with this exit code; its standard output. */
  async run(command: string, exit = 0, stdin = ''): Promise<string> {
    const called = await this.call(words(command), { stdin });
    if (called.exit !== exit) {
      throw new Error(`muster ${command} ended with ${called.exit}, not ${exit}:\n${called.stderr}${called.stdout}`);
    }
    return called.stdout;
  }

  /** The same with `--json`, as a value. */
  async json<T = Record<string, unknown>>(command: string, exit = 0, stdin = ''): Promise<T> {
    return JSON.parse(await this.run(`${command} --json`, exit, stdin)) as T;
  }

  file(name: string, text: string | Uint8Array): string {
    const path = join(this.directory, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    return path;
  }
}

/** `groups create "Sector A"` → its arguments. */
function words(command: string): string[] {
  return [...command.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? '');
}

class Gathered {
  readonly stream = new PassThrough();
  readonly #chunks: Buffer[] = [];
  constructor() {
    this.stream.on('data', (chunk: Buffer) => this.#chunks.push(chunk));
  }
  get text(): string {
    return Buffer.concat(this.#chunks).toString('utf8');
  }
}

/** A command line on the shared test servers, its directory removed when the file's tests are over. */
export function useCommandLine(): CommandLine {
  const { mongodbUri, redisUrl, prefix } = freshDatabase();
  const muster = new CommandLine({ MONGODB_URI: mongodbUri, REDIS_URL: redisUrl, MUSTER_PREFIX: prefix });
  afterAll(() => rmSync(muster.directory, { recursive: true, force: true }));
  return muster;
}

/** A command line on what a Muster stores. */
export function commandLineOf({ mongodbUri, redisUrl, queues, directory }: TestMuster): CommandLine {
  return new CommandLine({ MONGODB_URI: mongodbUri, REDIS_URL: redisUrl, MUSTER_PREFIX: queues.prefix }, directory);
}

/** The feed that these tests use: one column of groups, External IDs in `Id`. */
export const FEED = `name: hr
learner: { externalId: Id, email: Mail, firstName: First, lastName: Last }
groups: [{ column: Groups, separator: ";" }]
guard: { emptiedGroups: off }
`;

export const HEADER = 'Id,Mail,First,Last,Groups\r\n';

/** `rows('001 a;b', '002 b')`: a file of these learners and groups. */
export function rows(...lines: readonly string[]): string {
  return (
    HEADER +
    lines
      .map((line) => line.split(' '))
      .map(([id, groups]) => `${id},${id}@example.org,F${id},L${id},${groups ?? ''}\r\n`)
      .join('')
  );
}
