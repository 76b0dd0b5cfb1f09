import mongoose, { type Connection, type mongo as driver, type Model, Schema } from 'mongoose';
import type { Change, RemovalOption, SubscriptionEvent } from '../domain/change.ts';
import type { Person } from '../domain/erase.ts';
import type { CourseId, GroupId, LearnerId, RunId, SourceName } from '../domain/ids.ts';
import type { Learner } from '../domain/learner.ts';
import type { NotifyEvent } from '../domain/news.ts';
import type { Role } from '../domain/role.ts';
import type { RunState } from '../domain/run.ts';
import type { SettleKind, Subscription } from '../domain/settle.ts';
import type { Course, Group } from '../domain/structure.ts';
import type { FeedSettings } from '../settings/feed.ts';
import type { ReportSettings } from '../settings/report.ts';

/** What lies in each collection, as stored. Domain types come from these by the functions beside this file. */
export interface LearnerDoc extends Omit<Learner, 'id'> {
  _id: LearnerId;
  /** The e-mail address in lower case: unique (R12). */
  emailKey?: string;
}

export type GroupDoc = Omit<Group, 'id'> & { _id: GroupId; revision: number };
export type CourseDoc = Omit<Course, 'id'> & { _id: CourseId };

/** One document a learner: its courses change together, and a settlement writes all of them at once. */
export interface SubscriptionsDoc {
  _id: LearnerId;
  revision: number;
  due?: Date;
  items: Subscription[];
}

export interface ProgressId {
  learner: LearnerId;
  course: CourseId;
}
export interface Activity {
  name: string;
  completion?: number;
  score?: number;
}
export interface ProgressDoc {
  _id: ProgressId;
  /** Per cent, 0 to 100. */
  completion: number;
  score?: number;
  activities: Activity[];
  updatedAt: Date;
}
/** Results that a purge took away, restorable until `until` (R11). */
export interface PurgedDoc {
  _id: ProgressId & { run: RunId };
  subscription?: Subscription;
  progress?: Omit<ProgressDoc, '_id'>;
  purgedAt: Date;
  until: Date;
}

/**
 * How far a schedule is kept. Times up to `since`, when the schedule `as` was first seen, are none of its; `handled` is
 * the due time that was last seen to, or left out.
 */
export interface Scheduled {
  as: string;
  since: Date;
  handled?: Date;
}

export interface FeedDoc {
  _id: SourceName;
  /** The feed file as written. */
  text: string;
  /** `one-off`: made by `muster import --mapping`. */
  origin: 'file' | 'database' | 'one-off';
  /** What the end of a window does to the courses (R5). */
  leaverCourses: RemovalOption;
  /** Last run that was applied to the end; what change detection compares with. */
  applied?: Applied;
  /** What the feed holds. */
  held: { learners: number; memberships: number };
  /** Rows of completed runs that are kept no more: a count of rows never goes down. */
  past?: { read: number; accepted: number; rejected: number };
  /** Goes up with each applied run; a plan made at another revision is stale (R30). */
  revision: number;
  /** Learners at whom the next run must look again though their rows are as they were, also ones that do not exist yet. */
  lookAgain?: { learner: LearnerId; at: Date }[];
  /** When the feed runs by itself, as its text says. */
  schedule?: FeedSettings['schedule'];
  scheduled?: Scheduled;
  /** Runs that failed or were held, one after another, up to the last. */
  troubles?: number;
  /** The feed runs no more by itself, since this run, until a person releases it. */
  quarantined?: { at: Date; run: RunId };
  /** When and by whom it was last let out of quarantine. */
  released?: { at: Date; by: string };
}
export interface Applied {
  run: RunId;
  at: Date;
  sha256: string;
  bytes: number;
  rows: number;
  /** Digest of the settings and of the mapping code's version. */
  settings: string;
  /** Digest of header, delimiter and encoding. */
  layout: string;
  /** `Structure.keysRevision` when the rows were understood, and `keysGoneRevision`. */
  keys: number;
  keysGone: number;
  /** Parts of the packed table are named by this. */
  table: string;
  tableParts: number;
  /** Key of the row hashes, hex. */
  hashKey: string;
  /** Learners in grace, and rejected rows that may be accepted without another file: 0 = the same bytes are no news. */
  again: number;
  /** The file ended with a line break. */
  closed?: boolean;
}

export interface RunDoc {
  _id: RunId;
  kind: 'feed' | 'manual' | 'structure' | 'window' | 'undo';
  /** Of an undo: the run that it turns back (R25). */
  undoes?: RunId;
  feed: SourceName | null;
  state: RunState;
  history: { state: RunState; at: Date; by: string; note?: string }[];
  /** True while the run owns its feed (R23). */
  working?: boolean;
  preview: boolean;
  approve: boolean;
  mode: 'full' | 'delta';
  /** `host`: the file lies on this host alone. */
  source: { name: string; path?: string; host?: string; temporary?: boolean; bytes: number; sha256: string };
  /** The feed's text when the run was made; one-off feeds live here alone. */
  settings?: string;
  /** Counts the tries at reading; batches of an abandoned try are not this run's. */
  attempt: number;
  /** Reduced plans made of a held one (approvals in part): each has batches of its own. */
  parts?: number;
  lease?: { owner: string; host: string; pid: number; until: Date };
  by: string;
  /** The due time that the schedule made this run for: one run each (R26). */
  due?: Date;
  createdAt: Date;
  startedAt: Date | null;
  finishedAt: Date | null;
  error?: { code: string; message: string };
  /** Everything that the report needs; filled stage by stage. */
  report?: unknown;
  /** What finishing needs: the candidate for `feeds.applied`, what to look at again, counters. */
  outcome?: unknown;
  stages: { name: string; ms: number }[];
  batches?: number;
  /** What `muster runs rejected` needs to write rows as the file had them. */
  rejectedLayout?: unknown;
  /** A change of structure whose members have still to be settled. */
  spread?: {
    groups: GroupId[];
    settle: SettleKind;
    lost?: BatchDoc['lost'];
    /** The first learner of each batch, once the members are cut. */
    firsts?: LearnerId[];
  };
  /** Direct grants are being made for a change of structure (`keep`) that follows; `until` null: they are taken back. */
  keeping?: { until: Date | null; batches: number };
  /** Since when its history holds what people are to be told of. */
  tell?: Date;
  /** Entries of the history of which people were told. */
  told?: number;
}

export interface BatchId {
  run: RunId;
  /** attempt × 1,000,000 + number. */
  batch: number;
}
export interface BatchDoc {
  _id: BatchId;
  /** What settles it after it was applied; null = it changes no entitlement. */
  settle: SettleKind | null;
  /** Inserts learners. */
  creates: boolean;
  changes: Change[];
  /** Learners to settle where the batch has no changes of its own (structure, windows, grants). */
  learners?: LearnerId[];
  /** Courses that groups gave to their members and give no more, and what becomes of them (R10). */
  lost?: { option: RemovalOption; groups: { group: GroupId; courses: CourseId[] }[] };
  /** Direct grants that are made or taken back by hand, of all learners of the batch. */
  grants?: { grant: CourseId[]; revoke: CourseId[] };
  /** Of an undo: what else is put back, besides the changes. */
  restores?: Restore[];
  /** Of an undo: what newer changes overtook, so that it stays as it is. */
  overtaken?: OvertakenDoc[];
}

/** Grants and purged results of one learner that an undo puts back (R25). */
export interface Restore {
  learner: LearnerId;
  /** Direct grants to make, and to take back. */
  grant: CourseId[];
  revoke: CourseId[];
  /** Those that a `keep` made: taken back where a group gives the course again, and not otherwise. */
  release?: CourseId[];
  /** Purged results of these courses, as far as they are still kept. */
  purged: CourseId[];
}
export interface OvertakenDoc {
  learner: LearnerId;
  /** A field, or a group or course in which it lies. */
  field?: string;
  group?: GroupId;
  source?: SourceName;
  course?: CourseId;
  why: string;
}

/** Work that waits: written in the same transaction as the facts that ask for it. */
export interface OutboxDoc {
  _id: BatchId;
  job: 'apply' | SettleKind;
  tries: number;
  /** Not before; moves with each enqueueing and each failed try. */
  at: Date;
  error?: { code: string; message: string };
  /** One by one: the learner being worked at, and how often that was begun; a worker that dies leaves it behind. */
  doing?: { learner: LearnerId; tries: number };
  /** Planned new learner → the one that another source created meanwhile. */
  instead?: [LearnerId, LearnerId][];
  /** Learners whose changes were set aside: there is nothing to settle of them yet. */
  without?: LearnerId[];
}

/** One operation that could not be applied (R27). */
export interface SetAsideDoc {
  _id: string;
  run: RunId;
  batch: number;
  feed: SourceName | null;
  job: 'apply' | SettleKind;
  learner: LearnerId;
  groups: GroupId[];
  error: { code: string; message: string };
  tries: { at: Date; message: string }[];
  retryAt: Date | null;
  createdAt: Date;
  /** The operation itself: for `apply` a change of the batch. */
  change?: Change;
}

/** What is sent until it has arrived, or is given up. */
export interface Delivery {
  /** Not before; null = it has arrived, or was given up. */
  nextAt: Date | null;
  /** Tries that failed. */
  tries: { at: Date; message: string }[];
  deliveredAt?: Date;
  /** Addresses that the mail server refused, while it took the mail for others. */
  refused?: number;
  /** When it was delivered or given up; kept for a while after that. */
  endedAt?: Date;
}

/** Something that people are told of (`notify` of a feed), until it has arrived. */
export interface NotificationDoc extends Delivery {
  /** At random, so that receivers of several environments can tell them apart. */
  _id: string;
  feed: SourceName;
  run: RunId;
  event: NotifyEvent;
  channel: 'webhook' | 'email';
  /** What is said: figures alone, no personal data. */
  message: object;
  createdAt: Date;
}

export interface AuditDoc {
  _id: BatchId & { step: string };
  at: Date;
  by: string;
  why: string;
  learners: LearnerId[];
  /** Groups that a change of structure made, changed or deleted. */
  groups?: GroupId[];
  /** Settlements: what became of the subscriptions, one entry a learner that changed. */
  events?: { learner: LearnerId; events: SubscriptionEvent[] }[];
  /** Applications: planned new learner → the one that another source had created meanwhile. */
  instead?: [LearnerId, LearnerId][];
  /** Structure changes and direct grants. */
  detail?: unknown;
  counts: Record<string, number>;
  /** Place in the chain, from 1; none until it is sealed. */
  seq?: number;
  /** SHA-256, hex, of the bytes of the batch whose changes this entry says are applied. */
  content?: string;
  /** SHA-256, hex, over the hash before it and this entry. */
  hash?: string;
}

export interface RejectedDoc {
  _id: { run: RunId; attempt: number; row: number };
  code: string;
  message: string;
  bytes: Uint8Array;
}

export interface TablePartDoc {
  _id: { table: string; part: number };
  /** How its rows are made. */
  format: number;
  bytes: Uint8Array;
}

/** A saved report. */
export interface ReportDoc {
  /** At random: a number would tell how many there are. */
  _id: string;
  /** Unique among those of its owner. */
  name: string;
  /** Who made it, and with whose eyes it is sent: `user:LOGIN`, `key:NAME`, `cli:NAME`, `file`. */
  owner: string;
  origin: 'file' | 'database';
  settings: ReportSettings;
  /** Goes up with every change of the settings. */
  revision: number;
  scheduled?: Scheduled;
  changedAt: Date;
  changedBy: string;
}
/** A report that is to be sent; one each due time. */
export interface SendingDoc extends Delivery {
  _id: { report: string; due: Date };
  /** `schedule`, or who asked for it. */
  by: string;
  createdAt: Date;
  /** It was too large for a mail, which bore a link in its place. */
  linked?: boolean;
}

/** A named part of the environment. */
export interface SubenvironmentDoc {
  _id: string;
  createdAt: Date;
  createdBy: string;
}

/** A person who may log in (R29). `_id`: the login name, in lower case. */
export interface UserDoc {
  _id: string;
  name: string;
  role: Role;
  /** What a reseller has access to. */
  subenvironments: string[];
  /** `scrypt$N$r$p$salt$hash`; none until the one-time link has been used. */
  password?: string;
  /** Who the person is to the provider of OIDC log-in, from the first such log-in on. */
  identity?: { issuer: string; subject: string };
  createdAt: Date;
  createdBy: string;
  revokedAt?: Date;
}
export interface KeyDoc {
  _id: string;
  name: string;
  /** The role of a key of its own; a user's key has the user's. */
  role?: Role;
  user?: string;
  scopes: string[];
  /** SHA-256 of the secret, hex. */
  hash: string;
  createdAt: Date;
  createdBy: string;
  expiresAt?: Date;
  lastUsedAt?: Date;
  revokedAt?: Date;
}
/** `_id`: SHA-256 of the cookie's token. */
export interface SessionDoc {
  _id: string;
  user: string;
  csrf: string;
  createdAt: Date;
  seenAt: Date;
  expiresAt: Date;
}
/** Tries to log in that failed, of one stretch of time, until the audit tells of them. */
export interface FailedLogInsDoc {
  /** `user` null: of names that no user has, and of links and providers. */
  _id: { since: Date; user: string | null };
  count: number;
}
/** A one-time link by which a user sets a password; `user` null = by which the first administrator is made. */
export interface LinkDoc {
  _id: string;
  user: string | null;
  expiresAt: Date;
}
/** The answer to a write that bore an Idempotency-Key; `answer` is missing while it is being worked at. */
export interface IdempotencyDoc {
  _id: { who: string; key: string };
  /** What was asked: method, address and digest of the body. */
  request: string;
  answer?: { status: number; body: string; type: string };
  /** While there is no answer: until when the first call counts as alive. */
  until: Date;
  expiresAt: Date;
}

/**
 * A person who was erased: no name, only what keeps the next import from bringing the person back. `_id`: the run that
 * the erasure stands under.
 */
export interface ErasureDoc {
  _id: RunId;
  learner: LearnerId;
  at: Date;
  by: string;
  reason?: string;
  /** Keyed hashes of External ID and e-mail address (`src/store/erasures.ts`); none once it was lifted. */
  keys?: string[];
  /** By what traces of the person are found, until the last of them is gone. */
  person?: Person;
  /** All was gone through once; what is left waits for runs that were at work. */
  passed?: boolean;
  finishedAt?: Date;
  lifted?: { at: Date; by: string };
}
export interface MetaDoc {
  _id: string;
  /** When somebody last looked (`retention`). */
  at?: Date;
  /** Of the hashes of erased people, hex. */
  secret?: string;
  next?: number;
  revision?: number;
  keys?: number;
  keysGone?: number;
  /** Of a lane of the fence: goes up with every change of structure, and with every transaction that none may overtake (`fenceStructure`). */
  fence?: number;
  /** Of the last sealed audit entry. */
  hash?: string;
}

/** How long notifications are kept when they have arrived or were given up, s. */
const NOTIFICATIONS_KEPT = 90 * 86_400;

const options = { versionKey: false, strict: 'throw', id: false, minimize: false } as const;
const Mixed = Schema.Types.Mixed;

function schemas() {
  const learners = new Schema(
    {
      _id: Number,
      externalId: String,
      email: String,
      emailKey: String,
      firstName: String,
      lastName: String,
      status: { type: String, enum: ['active', 'inactive'] },
      attributes: Mixed,
      memberships: [Mixed],
      holds: [Mixed],
      lookAgain: { type: [Mixed], default: undefined },
      revision: Number,
    },
    { ...options, collection: 'learners' },
  );
  learners.index({ externalId: 1 }, { unique: true, sparse: true });
  learners.index({ emailKey: 1 }, { unique: true, sparse: true });
  learners.index({ 'memberships.group': 1 });
  learners.index({ 'lookAgain.feed': 1 }, { sparse: true });

  const groups = new Schema(
    {
      _id: Number,
      externalId: String,
      name: { type: String, required: true },
      parent: Number,
      instructors: [String],
      subenvironments: [String],
      courses: [Number],
      revision: Number,
    },
    { ...options, collection: 'groups' },
  );
  groups.index({ externalId: 1 }, { unique: true, sparse: true });
  groups.index({ parent: 1 });
  groups.index({ courses: 1 });

  const courses = new Schema(
    {
      _id: Number,
      externalId: String,
      name: { type: String, required: true },
      subenvironment: String,
      createdBy: String,
    },
    { ...options, collection: 'courses' },
  );
  courses.index({ externalId: 1 }, { unique: true, sparse: true });

  const subscriptions = new Schema(
    { _id: Number, revision: Number, due: Date, items: [Mixed] },
    { ...options, collection: 'subscriptions' },
  );
  subscriptions.index({ 'items.course': 1, 'items.status': 1 });
  subscriptions.index({ due: 1 }, { sparse: true });

  const progress = new Schema(
    { _id: Mixed, completion: Number, score: Number, activities: [Mixed], updatedAt: Date },
    { ...options, collection: 'progress' },
  );
  progress.index({ '_id.learner': 1 });
  const purged = new Schema(
    { _id: Mixed, subscription: Mixed, progress: Mixed, purgedAt: Date, until: Date },
    { ...options, collection: 'purged' },
  );
  purged.index({ until: 1 }, { expireAfterSeconds: 0 });
  purged.index({ '_id.run': 1 });

  const feeds = new Schema(
    {
      _id: String,
      text: String,
      origin: String,
      leaverCourses: String,
      applied: Mixed,
      held: Mixed,
      past: Mixed,
      revision: Number,
      lookAgain: { type: [Mixed], default: undefined },
      schedule: Mixed,
      scheduled: Mixed,
      troubles: Number,
      quarantined: Mixed,
      released: Mixed,
    },
    { ...options, collection: 'feeds' },
  );

  const runs = new Schema(
    {
      _id: String,
      kind: String,
      undoes: String,
      feed: String,
      state: String,
      history: [Mixed],
      working: Boolean,
      preview: Boolean,
      approve: Boolean,
      mode: String,
      source: Mixed,
      settings: String,
      attempt: Number,
      parts: Number,
      lease: Mixed,
      by: String,
      due: Date,
      createdAt: Date,
      startedAt: Date,
      finishedAt: Date,
      error: Mixed,
      report: Mixed,
      outcome: Mixed,
      stages: [Mixed],
      batches: Number,
      rejectedLayout: Mixed,
      spread: Mixed,
      keeping: Mixed,
      tell: Date,
      told: Number,
    },
    { ...options, collection: 'runs' },
  );
  runs.index({ feed: 1 }, { unique: true, partialFilterExpression: { working: true }, name: 'one_run_of_a_feed' });
  runs.index(
    { feed: 1, due: -1 },
    { unique: true, partialFilterExpression: { due: { $exists: true } }, name: 'one_run_of_a_due_time' },
  );
  runs.index({ tell: 1 }, { sparse: true });
  runs.index({ createdAt: -1 });
  runs.index({ feed: 1, createdAt: -1 });
  runs.index({ state: 1 });

  const batches = new Schema(
    {
      _id: Mixed,
      settle: String,
      creates: Boolean,
      changes: [Mixed],
      learners: { type: [Number], default: undefined },
      lost: Mixed,
      grants: Mixed,
      restores: Mixed,
      overtaken: Mixed,
    },
    { ...options, collection: 'batches' },
  );
  const outbox = new Schema(
    {
      _id: Mixed,
      job: String,
      tries: Number,
      at: Date,
      error: Mixed,
      doing: Mixed,
      instead: Mixed,
      without: { type: [Number], default: undefined },
    },
    { ...options, collection: 'outbox' },
  );
  outbox.index({ at: 1 });
  const setAside = new Schema(
    {
      _id: String,
      run: String,
      batch: Number,
      feed: String,
      job: String,
      learner: Number,
      groups: [Number],
      error: Mixed,
      tries: [Mixed],
      retryAt: Date,
      createdAt: Date,
      change: Mixed,
    },
    { ...options, collection: 'setAside' },
  );
  setAside.index({ run: 1 });
  setAside.index({ retryAt: 1 });
  setAside.index({ feed: 1 });

  const notifications = new Schema(
    {
      _id: String,
      feed: String,
      run: String,
      event: String,
      channel: String,
      message: Mixed,
      createdAt: Date,
      nextAt: Date,
      tries: [Mixed],
      deliveredAt: Date,
      refused: Number,
      endedAt: Date,
    },
    { ...options, collection: 'notifications' },
  );
  notifications.index({ nextAt: 1 });
  notifications.index({ feed: 1, createdAt: -1 });
  notifications.index({ endedAt: 1 }, { expireAfterSeconds: NOTIFICATIONS_KEPT });

  const reports = new Schema(
    {
      _id: String,
      name: String,
      owner: String,
      origin: String,
      settings: Mixed,
      revision: Number,
      scheduled: Mixed,
      changedAt: Date,
      changedBy: String,
    },
    { ...options, collection: 'reports' },
  );
  reports.index({ owner: 1, name: 1 }, { unique: true });
  const sendings = new Schema(
    {
      _id: Mixed,
      by: String,
      createdAt: Date,
      nextAt: Date,
      tries: [Mixed],
      linked: Boolean,
      refused: Number,
      deliveredAt: Date,
      endedAt: Date,
    },
    { ...options, collection: 'sendings' },
  );
  sendings.index({ nextAt: 1 });
  sendings.index({ endedAt: 1 }, { expireAfterSeconds: NOTIFICATIONS_KEPT });

  const audit = new Schema(
    {
      _id: Mixed,
      at: Date,
      by: String,
      why: String,
      learners: [Number],
      groups: { type: [Number], default: undefined },
      events: Mixed,
      instead: Mixed,
      detail: Mixed,
      counts: Mixed,
      seq: Number,
      content: String,
      hash: String,
    },
    { ...options, collection: 'audit' },
  );
  audit.index({ learners: 1 });
  audit.index({ at: 1 });
  audit.index({ seq: 1, at: 1, _id: 1 });
  audit.index({ groups: 1 }, { sparse: true });

  const rejected = new Schema(
    { _id: Mixed, code: String, message: String, bytes: Buffer },
    { ...options, collection: 'rejected' },
  );
  const tables = new Schema({ _id: Mixed, format: Number, bytes: Buffer }, { ...options, collection: 'lastApplied' });
  const erasures = new Schema(
    {
      _id: String,
      learner: Number,
      at: Date,
      by: String,
      reason: String,
      keys: { type: [String], default: undefined },
      person: Mixed,
      passed: Boolean,
      finishedAt: Date,
      lifted: Mixed,
    },
    { ...options, collection: 'erasures' },
  );
  erasures.index({ keys: 1 }, { sparse: true });
  const meta = new Schema(
    {
      _id: String,
      at: Date,
      secret: String,
      next: Number,
      revision: Number,
      keys: Number,
      keysGone: Number,
      fence: Number,
      hash: String,
    },
    { ...options, collection: 'meta' },
  );

  const subenvironments = new Schema(
    { _id: String, createdAt: Date, createdBy: String },
    { ...options, collection: 'subenvironments' },
  );
  const users = new Schema(
    {
      _id: String,
      name: String,
      role: String,
      subenvironments: [String],
      password: String,
      identity: { type: { issuer: String, subject: String }, default: undefined, _id: false },
      createdAt: Date,
      createdBy: String,
      revokedAt: Date,
    },
    { ...options, collection: 'users' },
  );
  users.index(
    { 'identity.subject': 1, 'identity.issuer': 1 },
    { unique: true, partialFilterExpression: { identity: { $exists: true } }, name: 'one_user_of_an_identity' },
  );
  const keys = new Schema(
    {
      _id: String,
      name: String,
      role: String,
      user: String,
      scopes: [String],
      hash: String,
      createdAt: Date,
      createdBy: String,
      expiresAt: Date,
      lastUsedAt: Date,
      revokedAt: Date,
    },
    { ...options, collection: 'keys' },
  );
  keys.index({ name: 1 }, { unique: true });
  const sessions = new Schema(
    { _id: String, user: String, csrf: String, createdAt: Date, seenAt: Date, expiresAt: Date },
    { ...options, collection: 'sessions' },
  );
  sessions.index({ expiresAt: 1 }, { expireAfterSeconds: 0 });
  sessions.index({ user: 1 });
  const failedLogIns = new Schema({ _id: Mixed, count: Number }, { ...options, collection: 'failedLogIns' });
  const links = new Schema({ _id: String, user: String, expiresAt: Date }, { ...options, collection: 'links' });
  links.index({ expiresAt: 1 }, { expireAfterSeconds: 0 });
  const idempotency = new Schema(
    { _id: Mixed, request: String, answer: Mixed, until: Date, expiresAt: Date },
    { ...options, collection: 'idempotency' },
  );
  idempotency.index({ expiresAt: 1 }, { expireAfterSeconds: 0 });

  return {
    learners,
    groups,
    courses,
    subscriptions,
    progress,
    purged,
    feeds,
    runs,
    batches,
    outbox,
    setAside,
    notifications,
    reports,
    sendings,
    audit,
    rejected,
    tables,
    erasures,
    meta,
    subenvironments,
    users,
    keys,
    sessions,
    failedLogIns,
    links,
    idempotency,
  };
}

export type Name = keyof ReturnType<typeof schemas>;

/** Makes all models on the connection; their indexes are built and awaited by `buildIndexes`. */
export function defineModels(connection: Connection): Record<Name, Model<unknown>> {
  const made = {} as Record<Name, Model<unknown>>;
  for (const [name, schema] of Object.entries(schemas())) {
    schema.set('autoIndex', false);
    schema.set('autoCreate', false);
    made[name as Name] = connection.model(name, schema) as Model<unknown>;
  }
  return made;
}

/** Work waits until the collections and their indexes stand (transactions cannot create them in passing). */
export async function buildIndexes(connection: Connection, models: Record<Name, Model<unknown>>): Promise<void> {
  const stored = await (connection.db as driver.Db).listCollections({}, { nameOnly: true }).toArray();
  const existing = new Set(stored.map(({ name }) => name));
  await Promise.all(
    Object.values(models).map(async (model) => {
      if (!existing.has(model.collection.collectionName)) await model.createCollection();
      const specs = model.schema.indexes().map(([key, { background: _, ...rest }]) => ({ key, ...rest }));
      if (specs.length > 0) await model.collection.createIndexes(specs as driver.IndexDescription[]);
    }),
  );
}

export const mongo = mongoose.mongo;
