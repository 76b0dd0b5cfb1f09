import { setTimeout as pause } from 'node:timers/promises';
import mongoose from 'mongoose';
import { MusterError } from '../domain/errors.ts';

const { MongoClient, MongoServerError } = mongoose.mongo;

const ALREADY_INITIALIZED = 23;
const USER_EXISTS = 51003;
const PRIMARY_MS = 90_000;

/**
 * Makes a lone mongod a one-node replica set at `host`, with a user who may do everything, and settles when it can be
 * written to. Every step may have been done before, by an earlier start or at the same moment by another command.
 */
export async function initiateReplicaSet(order: {
  readonly uri: string;
  readonly name: string;
  readonly host: string;
  readonly user: string;
  readonly password: string;
}): Promise<void> {
  const client = new MongoClient(order.uri, { serverSelectionTimeoutMS: PRIMARY_MS });
  try {
    const admin = client.db('admin');
    const hello = await admin.command({ hello: 1 });
    if (hello.me !== order.host) await claimAddress();
    const deadline = Date.now() + PRIMARY_MS;
    while (!(await admin.command({ hello: 1 })).isWritablePrimary) {
      if (Date.now() > deadline) throw new NoPrimary(order.host);
      await pause(10);
    }
    const { users } = await admin.command({ usersInfo: order.user });
    if (users.length === 0) {
      await unless(USER_EXISTS, admin.command({ createUser: order.user, pwd: order.password, roles: ['root'] }));
    }

    /** A set keeps its member's address in its data, where it is wrong after a start on another port. */
    async function claimAddress(): Promise<void> {
      const members = [{ _id: 0, host: order.host }];
      await unless(ALREADY_INITIALIZED, admin.command({ replSetInitiate: { _id: order.name, members } }));
      const { config } = await admin.command({ replSetGetConfig: 1 });
      if (config.members[0].host === order.host) return;
      await admin.command({ replSetReconfig: { ...config, version: config.version + 1, members }, force: true });
    }
  } finally {
    await client.close();
  }
}

/** The replica set cannot be written to. */
export class NoPrimary extends MusterError {
  readonly code = 'no-primary';
  constructor(host: string) {
    super(
      `MongoDB at ${host} did not become primary within 90 s, so nothing can be written. Look into its log, then start again.`,
    );
  }
}

async function unless(code: number, command: Promise<unknown>): Promise<void> {
  try {
    await command;
  } catch (error) {
    if (!(error instanceof MongoServerError) || error.code !== code) throw error;
  }
}
