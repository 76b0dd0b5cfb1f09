import { constants } from 'node:os';
import { MusterError } from '../domain/errors.ts';
import { mongo } from './models.ts';

/** Errors that trying again as it is cannot mend: the operation itself is refused by the database. */
export function isPermanent(error: unknown): boolean {
  if (error instanceof TransactionGivenUp) return true;
  if (!(error instanceof mongo.MongoError)) return error instanceof TypeError || error instanceof RangeError;
  if (error.hasErrorLabel('TransientTransactionError') || error.hasErrorLabel('RetryableWriteError')) return false;
  return PERMANENT.has(Number(error.code)) || error instanceof mongo.MongoInvalidArgumentError;
}

/** Trouble with the server or the network, or a conflict: not the operation's fault. */
export function isTransient(error: unknown): boolean {
  if (isBrokenSocket(error)) return true;
  if (!(error instanceof mongo.MongoError) || error instanceof mongo.MongoInvalidArgumentError) return false;
  if (error.hasErrorLabel('TransientTransactionError') || error.hasErrorLabel('RetryableWriteError')) return true;
  // What the server refuses has a code; a bulk write that lost its connection is a server's error without one.
  return (
    !(error instanceof mongo.MongoServerError) ||
    error.code === undefined ||
    TRANSIENT.has(Number(error.code)) ||
    isDiskFull(error)
  );
}

/** A connection that breaks while a command is written: what the socket says comes through the driver as it is (mongodb 7.5). */
function isBrokenSocket(error: unknown): boolean {
  return error instanceof Error && BROKEN.has(String((error as NodeJS.ErrnoException).code));
}
const BROKEN: ReadonlySet<string> = new Set(['EPIPE', 'ECONNRESET', 'ETIMEDOUT']);

/** The server has no room left for a file; where it has none for its journal either, it ends. */
function isDiskFull({ code, message }: InstanceType<typeof mongo.MongoServerError>): boolean {
  return Number(code) === OUT_OF_DISK_SPACE || (Number(code) === UNKNOWN_ERROR && message.startsWith(`${ENOSPC}: `));
}
const [OUT_OF_DISK_SPACE, UNKNOWN_ERROR, ENOSPC] = [14031, 8, constants.errno.ENOSPC];

// HostUnreachable, HostNotFound, LockTimeout, MaxTimeMSExpired, WriteConcernFailed, NetworkTimeout, ShutdownInProgress, WriteConflict,
// PrimarySteppedDown, NoSuchTransaction, ExceededTimeLimit, SocketException, NotWritablePrimary, InterruptedAtShutdown,
// InterruptedDueToReplStateChange, NotPrimaryNoSecondaryOk, NotPrimaryOrSecondary
const TRANSIENT: ReadonlySet<number> = new Set([
  6, 7, 24, 50, 64, 89, 91, 112, 189, 251, 262, 9001, 10107, 11600, 11602, 13435, 13436,
]);

// BadValue, TypeMismatch, DocumentValidationFailure, BSONObjectTooLarge, DuplicateKey
const PERMANENT: ReadonlySet<number> = new Set([2, 14, 121, 10334, 11000]);

/** The server has ended a transaction by itself: it lasted longer than the server allows, or another server has taken over. */
export function isGivenUp(error: unknown): boolean {
  return error instanceof mongo.MongoError && GIVEN_UP.has(Number(error.code));
}
// NoSuchTransaction, TransactionExceededLifetimeLimitSeconds
const GIVEN_UP: ReadonlySet<number> = new Set([251, 290]);

/** Too much for one transaction on this server: a batch is then taken learner by learner. */
export class TransactionGivenUp extends MusterError {
  readonly code = 'transaction-given-up';
  override readonly retry = true;
  constructor() {
    super(
      'MongoDB gave this transaction up several times, as it does with those that last longer than its transactionLifetimeLimitSeconds, ' +
        'so nothing of it was written. Try again when the server is less busy, or raise that limit.',
    );
  }
}

export function isDuplicateKey(error: unknown): boolean {
  return error instanceof mongo.MongoError && Number(error.code) === 11000;
}
