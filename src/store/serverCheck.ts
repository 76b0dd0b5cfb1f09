import type mongoose from 'mongoose';
import { MusterError } from '../domain/errors.ts';

const OLDEST_MAJOR = 6;

export class MongoNotReplicaSet extends MusterError {
  readonly code = 'mongodb-not-replica-set';
  override readonly exit = 2;
  constructor() {
    super(
      'The MongoDB of MONGODB_URI is not a replica set, so it has no transactions and Muster does not start. ' +
        'Start mongod with --replSet NAME and run rs.initiate() in mongosh once (one node is enough), or use docker-compose.yml, ' +
        'or unset MONGODB_URI for the embedded server.',
    );
  }
}

export class MongoTooOld extends MusterError {
  readonly code = 'mongodb-too-old';
  override readonly exit = 2;
  constructor(found: string) {
    super(
      `The MongoDB of MONGODB_URI is version ${found}, and Muster needs ${OLDEST_MAJOR}.0 or newer, so it does not start. ` +
        'Upgrade it, or unset MONGODB_URI for the embedded server.',
    );
  }
}

/** @throws {MongoTooOld | MongoNotReplicaSet} where the server cannot carry Muster. */
export async function checkMongo(connection: mongoose.Connection): Promise<void> {
  const admin = connection.getClient().db('admin');
  const { version } = await admin.command({ buildInfo: 1 });
  requireMongoVersion(version);
  const { setName, msg } = await admin.command({ hello: 1 });
  if (setName === undefined && msg !== 'isdbgrid') throw new MongoNotReplicaSet();
}

/** @throws {MongoTooOld} */
export function requireMongoVersion(version: string): void {
  if (!(Number.parseInt(version, 10) >= OLDEST_MAJOR)) throw new MongoTooOld(version);
}
