import { setTimeout as pause } from 'node:timers/promises';
import mongoose, { type mongo } from 'mongoose';
import { OwnMongod, uriOf } from './servers.ts';

/** How long a primary may be silent until the others elect one, ms. MongoDB's own default is 10 s. */
export const ELECTION = 2_000;

/** Three mongods that are one replica set. */
export class OwnReplicaSet {
  readonly members: readonly OwnMongod[];

  private constructor(members: readonly OwnMongod[]) {
    this.members = members;
  }

  /** Settles when one of them is primary and the others follow it. */
  static async start(): Promise<OwnReplicaSet> {
    const members = await Promise.all([1, 2, 3].map(() => OwnMongod.prepare()));
    const set = new OwnReplicaSet(members);
    try {
      await Promise.all(members.map((member) => member.start()));
      const config = {
        _id: 'faults',
        members: members.map(({ host }, _id) => ({ _id, host })),
        settings: { electionTimeoutMillis: ELECTION, heartbeatIntervalMillis: ELECTION / 4 },
      };
      await tell(members[0] as OwnMongod, { replSetInitiate: config });
      await set.isWhole();
    } catch (error) {
      await set.close();
      throw error;
    }
    return set;
  }

  uri(database: string): string {
    return uriOf(this.members, database);
  }

  /** The member that is written to now; undefined: there is none. */
  async primary(): Promise<OwnMongod | undefined> {
    for (const member of this.members) {
      const hello = await tell(member, { hello: 1 }).catch(() => undefined);
      if (hello?.isWritablePrimary) return member;
    }
    return undefined;
  }

  /** Has the primary hand over to another, which it does at once. */
  async stepDown(): Promise<void> {
    const primary = await this.primary();
    if (primary) await tell(primary, { replSetStepDown: 5, secondaryCatchUpPeriodSecs: 4 });
  }

  /** Settles when one is primary and two follow. */
  async isWhole(): Promise<void> {
    for (const deadline = Date.now() + 60_000; ; await pause(50)) {
      const status = await tell(this.members[0] as OwnMongod, { replSetGetStatus: 1 }).catch(() => undefined);
      const states = (status?.members as { stateStr: string }[] | undefined)?.map(({ stateStr }) => stateStr).sort();
      if (states?.join() === 'PRIMARY,SECONDARY,SECONDARY') return;
      if (Date.now() > deadline) throw new Error(`The replica set is not whole after 60 s: ${states?.join()}`);
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.members.map((member) => member.close()));
  }
}

/** A command to one member's `admin`, whatever it is at the time. */
export async function tell({ host }: OwnMongod, command: mongo.Document): Promise<mongo.Document> {
  const options = { serverSelectionTimeoutMS: 5_000, connectTimeoutMS: 1_000, socketTimeoutMS: 10_000 };
  const client = new mongoose.mongo.MongoClient(`mongodb://${host}/?directConnection=true`, options);
  try {
    return await client.db('admin').command(command);
  } finally {
    await client.close();
  }
}
