import { type Command, InvalidArgumentError, Option } from 'commander';
import type { RemovalOption } from '../domain/change.ts';
import { UsageError } from '../domain/errors.ts';
import { type ExternalId, externalId } from '../domain/ids.ts';

/** What the options of every command that prints facts have in common. */
export interface JsonOption {
  readonly json?: boolean;
}

/** `--json`, and the examples that stand below the help. */
export function printsFacts(command: Command, ...examples: string[]): Command {
  return withExamples(command.option('--json', 'print one JSON document'), ...examples);
}

export function withExamples(command: Command, ...examples: string[]): Command {
  const heading = examples.length > 1 ? 'Examples:' : 'Example:';
  return command.addHelpText('after', `\n${heading}\n${examples.map((line) => `  $ ${line}`).join('\n')}`);
}

/** `--courses`, with the removal options that make sense there. */
export function coursesOption<T extends RemovalOption>(choices: readonly T[], otherwise: T): Option {
  return new Option('--courses <option>', 'what becomes of the courses that nothing else gives')
    .choices([...choices])
    .default(otherwise);
}

export const REMOVALS: readonly RemovalOption[] = ['keep', 'expire', 'purge'];

export function wholeNumber(text: string): number {
  if (!/^[1-9][0-9]{0,8}$/.test(text)) throw new InvalidArgumentError('It must be a whole number from 1.');
  return Number(text);
}

export function percentage(text: string): number {
  const number = Number(text);
  if (text.trim() === '' || !(number >= 0 && number <= 100))
    throw new InvalidArgumentError('It must be a number from 0 to 100.');
  return number;
}

/** A moment given as an option: an ISO date (its beginning, in UTC) or date and time. */
export function moment(text: string): Date {
  const at = new Date(text.trim());
  if (!/^[0-9]{4}-[0-9]{2}-[0-9]{2}/.test(text.trim()) || Number.isNaN(at.getTime()))
    throw new InvalidArgumentError('It must be a date such as 2026-01-31, or 2026-01-31T09:00:00Z.');
  return at;
}

/** An External ID given as an option. @throws {UsageError} where it is blank. */
export function newExternalId(text: string): ExternalId {
  const id = externalId(text);
  if (id === undefined) throw new UsageError('An External ID cannot be blank; nothing was changed.');
  return id;
}
