import { once } from 'node:events';
import { printableLines } from './table.ts';

export interface Streams {
  readonly stdin: NodeJS.ReadableStream & { isTTY?: boolean };
  readonly stdout: NodeJS.WritableStream & { isTTY?: boolean; columns?: number };
  readonly stderr: NodeJS.WritableStream & { isTTY?: boolean };
}

/** Facts go to standard output, words to standard error. With `--json`, standard output holds one JSON document or, where the command fails, nothing. */
export class Output {
  readonly streams: Streams;
  #progress = false;

  constructor(streams: Streams) {
    this.streams = streams;
  }

  /** A fact: the JSON document, or the same as text. */
  show(json: boolean | undefined, value: unknown, text: () => string): void {
    this.#endProgress();
    const body = json ? JSON.stringify(value, null, 2) : printableLines(text());
    if (body !== '') this.streams.stdout.write(body.endsWith('\n') ? body : `${body}\n`);
  }

  /** Facts that may be many: a JSON array, written as it comes, or text of all of them. */
  async list<T>(
    json: boolean | undefined,
    items: AsyncIterable<T>,
    text: (items: readonly T[]) => string,
  ): Promise<void> {
    if (!json) {
      const all: T[] = [];
      for await (const item of items) all.push(item);
      return this.show(false, undefined, () => text(all));
    }
    let first = true;
    for await (const item of items) {
      await this.write(`${first ? '[\n  ' : ',\n  '}${JSON.stringify(item)}`);
      first = false;
    }
    await this.write(first ? '[]\n' : '\n]\n');
  }

  /** A line about what is going on. */
  say(text: string): void {
    this.#endProgress();
    this.streams.stderr.write(`${printableLines(text)}\n`);
  }

  /** What is going on, on a terminal alone, where each takes the place of the one before. */
  progress(text: string): void {
    if (!this.streams.stderr.isTTY) return;
    this.streams.stderr.write(`\r\u001b[K${text}`);
    this.#progress = true;
  }

  /** Bytes for standard output; settles when more may be written. */
  async write(bytes: Uint8Array | string): Promise<void> {
    if (!this.streams.stdout.write(bytes as string)) await once(this.streams.stdout, 'drain');
  }

  #endProgress(): void {
    if (this.#progress) this.streams.stderr.write('\r\u001b[K');
    this.#progress = false;
  }
}
