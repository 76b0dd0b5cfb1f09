import { framesOf } from '../domain/errors.ts';

/**
 * What BullMQ is told of a job's error, and keeps in Redis and in spans: what kind it is and where it happened. Its
 * message may hold names and addresses (a duplicate key's does), so it stays in the database.
 */
export class JobFailed extends Error {
  readonly code: string | number | undefined;
  constructor(error: Error & { code?: string | number }) {
    const { name, code } = error;
    super(code === undefined ? name : `${name} ${code}`);
    this.name = name;
    this.code = code;
    this.stack = [this.message, ...framesOf(error)].join('\n');
  }
}
