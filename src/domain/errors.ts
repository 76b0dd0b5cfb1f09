/**
 * Base of every error that Muster raises on purpose: the text states the fact, the consequence and the next
 * step. `code` is stable and listed in docs/errors.md.
 */
export abstract class MusterError extends Error {
  abstract readonly code: string;
  /** Exit code of a command that ends with this error. */
  readonly exit: number = 1;
  /** Nothing was done, and the same may be asked again: what stands in its way passes by itself. */
  readonly retry: boolean = false;
}

/** Wrong usage or configuration: exit code 2. */
export class UsageError extends MusterError {
  readonly code: string = 'usage';
  override readonly exit = 2;
}

/** What was asked for has to wait for something else. */
export class NotNow extends UsageError {
  override readonly retry = true;
}

/** A change stands on something that was changed after it was read (`If-Match`). */
export class ChangedMeanwhile extends UsageError {
  override readonly code = 'changed-meanwhile';
  constructor(what: string) {
    super(`The ${what} was changed after it was read; nothing was changed. Read it again.`);
  }
}

/** What was named does not exist: exit code 2. */
export class NotFound extends MusterError {
  readonly code = 'not-found';
  override readonly exit = 2;
}

/** Where an error happened, without its message: that may hold names and addresses. */
export function framesOf({ stack = '' }: Error): string[] {
  return stack
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
    .slice(0, 8)
    .map((line) => line.trim());
}
