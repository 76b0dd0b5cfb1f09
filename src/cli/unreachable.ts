import { MusterError } from '../domain/errors.ts';

/** A server that does not answer. What was stored before is kept, and goes on when the command is given again. */
export class ServerUnreachable extends MusterError {
  readonly code = 'server-unreachable';
}

/** The error to be told: one of Muster's own as it is, another as a server that cannot be reached. */
export function unreachable(server: 'MongoDB' | 'Redis', variable: string | undefined, error: unknown): MusterError {
  if (error instanceof MusterError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  const which = variable === undefined ? `The embedded ${server}` : `The ${server} of ${variable}`;
  const next =
    variable === undefined ? '`muster doctor` looks at it.' : `See that it runs and that ${variable} names it.`;
  return new ServerUnreachable(
    `${which} cannot be reached (${code ?? message}). What has been stored is kept and goes on with the next command. ${next}`,
  );
}
