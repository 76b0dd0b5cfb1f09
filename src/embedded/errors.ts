import { MusterError } from '../domain/errors.ts';

/** No binary of a server was found and none could be fetched. */
export class ServerMissing extends MusterError {
  readonly code = 'server-missing';
  override readonly exit = 2;
}

/** An embedded server, or the keeper that owns the servers, did not start or did not answer. */
export class ServerFailed extends MusterError {
  readonly code = 'server-failed';
}
