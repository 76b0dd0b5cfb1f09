import { readFileSync } from 'node:fs';
import { UsageError } from '../domain/errors.ts';

/** @throws {UsageError} where the file cannot be read. */
export function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(
      `${path} cannot be read (${(error as NodeJS.ErrnoException).code}); nothing was changed. Name a file that can.`,
    );
  }
}
