import mongoose, { type Connection, type mongo } from 'mongoose';
import type { RunId } from '../domain/ids.ts';
import { isGivenUp, TransactionGivenUp } from './failures.ts';
import {
  type AuditDoc,
  type BatchDoc,
  buildIndexes,
  type CourseDoc,
  defineModels,
  type ErasureDoc,
  type FailedLogInsDoc,
  type FeedDoc,
  type GroupDoc,
  type IdempotencyDoc,
  type KeyDoc,
  type LearnerDoc,
  type LinkDoc,
  type MetaDoc,
  type Name,
  type NotificationDoc,
  type OutboxDoc,
  type ProgressDoc,
  type PurgedDoc,
  type RejectedDoc,
  type ReportDoc,
  type RunDoc,
  type SendingDoc,
  type SessionDoc,
  type SetAsideDoc,
  type SubenvironmentDoc,
  type SubscriptionsDoc,
  type TablePartDoc,
  type UserDoc,
} from './models.ts';
import { checkMongo } from './serverCheck.ts';

export type Session = mongo.ClientSession;

/** The open database. Bulk paths use the driver's collections below mongoose's models (measured: mongoose's own casting costs five times the driver). */
export interface Store {
  readonly connection: Connection;
  readonly learners: mongo.Collection<LearnerDoc>;
  readonly groups: mongo.Collection<GroupDoc>;
  readonly courses: mongo.Collection<CourseDoc>;
  readonly subscriptions: mongo.Collection<SubscriptionsDoc>;
  readonly progress: mongo.Collection<ProgressDoc>;
  readonly purged: mongo.Collection<PurgedDoc>;
  readonly feeds: mongo.Collection<FeedDoc>;
  readonly runs: mongo.Collection<RunDoc>;
  readonly batches: mongo.Collection<BatchDoc>;
  readonly outbox: mongo.Collection<OutboxDoc>;
  readonly setAside: mongo.Collection<SetAsideDoc>;
  readonly notifications: mongo.Collection<NotificationDoc>;
  readonly reports: mongo.Collection<ReportDoc>;
  readonly sendings: mongo.Collection<SendingDoc>;
  readonly audit: mongo.Collection<AuditDoc>;
  readonly rejected: mongo.Collection<RejectedDoc>;
  readonly tables: mongo.Collection<TablePartDoc>;
  readonly erasures: mongo.Collection<ErasureDoc>;
  readonly meta: mongo.Collection<MetaDoc>;
  readonly subenvironments: mongo.Collection<SubenvironmentDoc>;
  readonly users: mongo.Collection<UserDoc>;
  readonly keys: mongo.Collection<KeyDoc>;
  readonly sessions: mongo.Collection<SessionDoc>;
  readonly failedLogIns: mongo.Collection<FailedLogInsDoc>;
  readonly links: mongo.Collection<LinkDoc>;
  readonly idempotency: mongo.Collection<IdempotencyDoc>;
  /**
   * Runs `work` in one transaction: snapshot reads, majority writes. It may be called more than once (write
   * conflicts, elections), so it touches nothing outside its session but what it returns.
   * @throws {TransactionGivenUp} where the server has given it up again and again, as it does when it lasts too long.
   */
  transaction<T>(work: (session: Session) => Promise<T>): Promise<T>;
  /** A run has come to rest: who listens (`rested`) is told, once the transaction that says so is committed. */
  tellRested(run: RunId, session?: Session): Promise<void>;
  close(): Promise<void>;
}

export interface StoreOptions {
  /** How long to look for a server before giving up, ms. */
  readonly serverSelectionTimeoutMS?: number;
  readonly monitorCommands?: boolean;
  /** Called when there is no primary any more: work waits for one. */
  readonly lost?: () => void;
  /** Called with each run that this process has seen come to rest. What it throws harms nobody. */
  readonly rested?: (store: Store, run: RunId) => Promise<void>;
}

/** A transaction that the server gave up so many times is not tried again. */
const OFTEN = 3;

/** Connects, checks the server (`serverCheck.ts`) and waits until all indexes stand. */
export async function openStore(uri: string, options: StoreOptions = {}): Promise<Store> {
  const connection = mongoose.createConnection(uri, {
    serverSelectionTimeoutMS: options.serverSelectionTimeoutMS ?? 30_000,
    // A primary that froze is given up after both together; with the driver's own 40 s a run stood still that long.
    connectTimeoutMS: 10_000,
    heartbeatFrequencyMS: 5_000,
    monitorCommands: options.monitorCommands ?? false,
    bufferCommands: false,
    writeConcern: { w: 'majority' },
    readConcern: { level: 'majority' },
    maxPoolSize: 20,
  });
  try {
    await connection.asPromise();
    connection.getClient().on('topologyDescriptionChanged', ({ previousDescription, newDescription }) => {
      const [before, now] = [previousDescription.type, newDescription.type];
      if (before === 'ReplicaSetWithPrimary' && now === 'ReplicaSetNoPrimary') options.lost?.();
    });
    await checkMongo(connection);
    const models = defineModels(connection);
    await buildIndexes(connection, models);
    return makeStore(connection, (name) => models[name].collection.collectionName, options);
  } catch (error) {
    await connection.close().catch(() => undefined);
    throw error;
  }
}

function makeStore(connection: Connection, nameOf: (name: Name) => string, { rested }: StoreOptions): Store {
  const db = connection.db as mongo.Db;
  const collection = <T extends mongo.Document>(name: Name) => db.collection<T>(nameOf(name));
  const untold = new WeakMap<Session, RunId[]>();
  const tell = async (run: RunId) => rested?.(store, run).catch(() => undefined);
  const store: Store = {
    connection,
    learners: collection<LearnerDoc>('learners'),
    groups: collection<GroupDoc>('groups'),
    courses: collection<CourseDoc>('courses'),
    subscriptions: collection<SubscriptionsDoc>('subscriptions'),
    progress: collection<ProgressDoc>('progress'),
    purged: collection<PurgedDoc>('purged'),
    feeds: collection<FeedDoc>('feeds'),
    runs: collection<RunDoc>('runs'),
    batches: collection<BatchDoc>('batches'),
    outbox: collection<OutboxDoc>('outbox'),
    setAside: collection<SetAsideDoc>('setAside'),
    notifications: collection<NotificationDoc>('notifications'),
    reports: collection<ReportDoc>('reports'),
    sendings: collection<SendingDoc>('sendings'),
    audit: collection<AuditDoc>('audit'),
    rejected: collection<RejectedDoc>('rejected'),
    tables: collection<TablePartDoc>('tables'),
    meta: collection<MetaDoc>('meta'),
    subenvironments: collection<SubenvironmentDoc>('subenvironments'),
    users: collection<UserDoc>('users'),
    keys: collection<KeyDoc>('keys'),
    sessions: collection<SessionDoc>('sessions'),
    failedLogIns: collection<FailedLogInsDoc>('failedLogIns'),
    links: collection<LinkDoc>('links'),
    idempotency: collection<IdempotencyDoc>('idempotency'),
    erasures: collection<ErasureDoc>('erasures'),
    async transaction<T>(work: (session: Session) => Promise<T>): Promise<T> {
      const session = await connection.startSession();
      let givenUp = 0;
      let worked = false;
      const attempt = async () => {
        // Called again although the work was done: it was not there any more to be committed.
        if (worked) givenUp += 1;
        if (givenUp >= OFTEN) throw new TransactionGivenUp();
        worked = false;
        untold.set(session, []);
        try {
          const result = await work(session);
          worked = true;
          return result;
        } catch (error) {
          if (isGivenUp(error)) givenUp += 1;
          throw error;
        }
      };
      try {
        const result = await session.withTransaction(attempt, {
          readConcern: { level: 'snapshot' },
          writeConcern: { w: 'majority' },
          readPreference: 'primary',
        });
        for (const run of untold.get(session) ?? []) await tell(run);
        return result;
      } finally {
        await session.endSession();
      }
    },
    async tellRested(run: RunId, session?: Session): Promise<void> {
      if (session) untold.get(session)?.push(run);
      else await tell(run);
    },
    close: () => connection.close(),
  };
  return store;
}

/** `{ session }` where there is one: for the driver's options. */
export function within(session: Session | undefined): { session?: Session } {
  return session ? { session } : {};
}
