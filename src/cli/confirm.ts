import type { Readable, Writable } from 'node:stream';
import { confirm, isCancel } from '@clack/prompts';
import { UsageError } from '../domain/errors.ts';
import type { Cli } from './cli.ts';

/**
 * Asks before something is deleted: on a terminal by a question, elsewhere `--yes` must have been given.
 * @throws {UsageError} where the answer is no, or nobody can be asked.
 */
export async function confirmed(
  cli: Cli,
  question: string,
  yes: boolean | undefined,
  fact = 'A purge deletes results',
): Promise<void> {
  const { stdin, out } = cli;
  if (yes) return;
  if (!stdin.isTTY || !out.streams.stderr.isTTY) {
    throw new UsageError(
      `${fact}, so it is to be confirmed; nothing was changed. Give --yes, or look first with --preview.`,
    );
  }
  const answer = await confirm({
    message: question,
    initialValue: false,
    input: stdin as Readable,
    output: out.streams.stderr as Writable,
  });
  if (isCancel(answer) || !answer) throw new UsageError('Nothing was changed.');
}
