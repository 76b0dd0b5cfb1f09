import { isDeepStrictEqual } from 'node:util';
import { ChangedMeanwhile, NotFound, UsageError } from '../domain/errors.ts';
import type { Role } from '../domain/role.ts';
import { audited } from './audited.ts';
import { isDuplicateKey } from './failures.ts';
import type { UserDoc } from './models.ts';
import { hashPassword } from './passwords.ts';
import type { Services } from './services.ts';
import { type Session, type Store, within } from './store.ts';
import { madeSubenvironments } from './subenvironments.ts';
import { hashToken, newToken } from './tokens.ts';

/** For how long a one-time link may be used, ms. */
const LINK = 24 * 3_600_000;
const SHORTEST_PASSWORD = 12;

/** Login names are compared without case. */
export function loginKey(login: string): string {
  return login.trim().normalize('NFC').toLowerCase();
}

/** The user, unless revoked. */
export async function readUser(store: Store, login: string, session?: Session): Promise<UserDoc | null> {
  return store.users.findOne({ _id: loginKey(login), revokedAt: { $exists: false } }, within(session));
}

export function listUsers(store: Store): Promise<UserDoc[]> {
  return store.users.find().sort({ _id: 1 }).toArray();
}

export interface NewUser {
  readonly login: string;
  readonly name?: string;
  readonly role: Role;
  readonly subenvironments?: readonly string[];
  readonly identity?: UserDoc['identity'];
  readonly by: string;
}

/**
 * Adds a user without a password: `linkFor` gives the one-time link by which it is set. A name that was revoked is given
 * anew, without what the user had before, but not by the log-in service: whom an administrator has shut out stays out.
 */
export async function addUser(
  services: Services,
  { login, name, role, subenvironments = [], identity, by }: NewUser,
): Promise<UserDoc> {
  const { store } = services;
  const user = {
    ...userOf(services, { login, role, by, name: name ?? login, subenvironments }),
    ...(identity && { identity }),
  };
  const { _id } = user;
  const exists = new UsageError(`User ${_id} exists already; nothing was changed.`);
  try {
    return await audited(services, { ...ACCESS, by, why: 'users add' }, async (session) => {
      const before = await store.users.findOne({ _id }, { session });
      if (before && (!before.revokedAt || identity)) throw exists;
      user.subenvironments = await madeSubenvironments(store, user.subenvironments, { session });
      if (before) await endAccess(services, _id, session);
      await store.users.replaceOne({ _id }, user, { upsert: true, session });
      return { result: user, detail: { user: _id, before: null, after: shown(user) } };
    });
  } catch (error) {
    throw isDuplicateKey(error) ? exists : error;
  }
}

const ACCESS = { step: 'access' } as const;

function userOf(
  { clock }: Services,
  { login, name, role, subenvironments, by }: Required<Omit<NewUser, 'identity'>>,
): UserDoc {
  const _id = loginKey(login);
  if (!/^[\p{L}\p{N}._@+'-]{1,100}$/u.test(_id)) {
    throw new UsageError("A login name has 1 to 100 letters, digits and . _ @ + ' -; nothing was changed.");
  }
  if (role !== 'reseller' && subenvironments.length > 0) {
    throw forResellers();
  }
  return { _id, name: name.trim(), role, subenvironments: [...subenvironments], createdAt: clock.now(), createdBy: by };
}

function forResellers(): UsageError {
  return new UsageError('Subenvironments are for resellers alone; nothing was changed.');
}

export interface UserEdit {
  readonly name?: string;
  readonly role?: Role;
  readonly subenvironments?: readonly string[];
  /** Forgets who the person is to the provider of OIDC log-in: the next such log-in with the e-mail address ties anew. */
  readonly identity?: null;
}

/**
 * Changes a user; open sessions see it with their next request. `asRead`: the user that the change stands on.
 * @throws {ChangedMeanwhile} where it is another by now.
 */
export async function editUser(
  services: Services,
  login: string,
  { identity, ...set }: UserEdit,
  { by, asRead }: { by: string; asRead?: UserDoc | undefined },
): Promise<UserDoc> {
  const { store } = services;
  return audited(services, { ...ACCESS, by, why: 'users edit' }, async (session) => {
    const user = await existing(store, login, session);
    if (asRead && !isDeepStrictEqual(shown(user), shown(asRead))) throw new ChangedMeanwhile('user');
    const next = { ...shown(user), ...set };
    if (next.role !== 'reseller' && set.subenvironments && set.subenvironments.length > 0) throw forResellers();
    const known = user.subenvironments;
    const given = next.role === 'reseller' ? next.subenvironments : [];
    const after = { ...next, subenvironments: await madeSubenvironments(store, given, { known, session }) };
    const { identity: tied, ...rest } = user;
    const forgets = identity === null && tied !== undefined;
    await store.users.updateOne(
      { _id: user._id },
      { $set: after, ...(forgets && { $unset: { identity: '' } }) },
      { session },
    );
    if (user.role === 'administrator') await refuseLast(store, user._id, session);
    const detail = { user: user._id, before: shown(user), after, ...(forgets && { identity: null }) };
    const changed = forgets || !isDeepStrictEqual(after, shown(user));
    return {
      result: { ...rest, ...(tied && !forgets && { identity: tied }), ...after },
      detail: changed ? detail : null,
    };
  });
}

/** What an edit changes. */
function shown({ name, role, subenvironments }: UserDoc) {
  return { name, role, subenvironments };
}

/** Takes a user's access away: sessions, links and keys of the user end at once. The name stays for the audit. */
export async function revokeUser(services: Services, login: string, by: string): Promise<void> {
  const { store, clock } = services;
  await audited(services, { ...ACCESS, by, why: 'users revoke' }, async (session) => {
    const user = await existing(store, login, session);
    const { _id } = user;
    const now = clock.now();
    await store.users.updateOne({ _id }, { $set: { revokedAt: now }, $unset: { password: '' } }, { session });
    if (user.role === 'administrator') await refuseLast(store, _id, session);
    const keys = await endAccess(services, _id, session);
    return { result: undefined, detail: { user: _id, before: shown(user), after: null, keys } };
  });
}

/** Ends sessions, links and keys of a user, and gives the names of the keys. */
async function endAccess({ store, clock }: Services, user: string, session: Session): Promise<string[]> {
  await store.sessions.deleteMany({ user }, { session });
  await store.links.deleteMany({ user }, { session });
  const theirs = { user, revokedAt: { $exists: false } };
  const keys = await store.keys.find(theirs, { session, projection: { name: 1 } }).toArray();
  await store.keys.updateMany(theirs, { $set: { revokedAt: clock.now() } }, { session });
  return keys.map(({ name }) => name);
}

/** Somebody must remain who may do everything. */
async function refuseLast(store: Store, login: string, session: Session): Promise<void> {
  // Written, so that two who take each other's role away at once conflict.
  await store.meta.updateOne({ _id: 'users' }, { $inc: { revision: 1 } }, { upsert: true, session });
  const left = await store.users.findOne({ role: 'administrator', revokedAt: { $exists: false } }, { session });
  if (!left)
    throw new UsageError(`User ${login} is the last administrator; nothing was changed. Make another one first.`);
}

/** A one-time link's token, by which the user sets a password. Older ones end. */
export async function linkFor(services: Services, login: string, by: string): Promise<string> {
  const { store } = services;
  return audited(services, { ...ACCESS, by, why: 'users link' }, async (session) => {
    const { _id: user } = await existing(store, login, session);
    return { result: await newLink(services, user, session), detail: { user } };
  });
}

async function newLink({ store, clock }: Services, user: string | null, session: Session): Promise<string> {
  const token = newToken();
  await store.links.deleteMany({ user }, { session });
  const expiresAt = new Date(clock.now().getTime() + LINK);
  await store.links.insertOne({ _id: hashToken(token), user, expiresAt }, { session });
  return token;
}

export interface LinkUse {
  readonly token: string;
  /** Of the first administrator; of others the link knows it. */
  readonly login?: string;
  readonly password: string;
}

/**
 * Sets the password by a one-time link, which ends with it, as do all sessions of the user.
 * @throws {NotFound} for a link that was used, is too old, or never was.
 */
export async function useLink(services: Services, { token, login, password }: LinkUse): Promise<UserDoc> {
  const { store, clock } = services;
  if (password.normalize('NFC').length < SHORTEST_PASSWORD) {
    throw new UsageError(`A password has ${SHORTEST_PASSWORD} characters or more; nothing was changed.`);
  }
  const _id = hashToken(token);
  const gone = new NotFound('The link was used, or is too old; nothing was changed. Ask for a new one.');
  const found = await store.links.findOne({ _id, expiresAt: { $gt: clock.now() } });
  if (!found) throw gone;
  const hash = await hashPassword(password);
  const entry =
    found.user === null ? { by: FIRST_LINK, why: 'users add' } : { by: `user:${found.user}`, why: 'users password' };
  return audited(services, { ...ACCESS, ...entry }, async (session) => {
    const link = await store.links.findOneAndDelete({ _id, expiresAt: { $gt: clock.now() } }, { session });
    if (!link) throw gone;
    if (link.user === null) {
      const user = await firstAdministrator(services, login, hash, session);
      return { result: user, detail: { user: user._id, before: null, after: shown(user) } };
    }
    const user = await store.users.findOneAndUpdate(
      { _id: link.user, revokedAt: { $exists: false } },
      { $set: { password: hash } },
      { session, returnDocument: 'after' },
    );
    if (!user) throw gone;
    await store.sessions.deleteMany({ user: user._id }, { session });
    return { result: user, detail: { user: user._id } };
  });
}

const FIRST_LINK = 'first link';

async function firstAdministrator(
  services: Services,
  login: string | undefined,
  password: string,
  session: Session,
): Promise<UserDoc> {
  const { store } = services;
  if (login === undefined) throw new UsageError('The first administrator needs a login name; nothing was changed.');
  if (await store.users.findOne(CAN_LOG_IN, { session })) {
    throw new NotFound('There is an administrator already; nothing was changed. Ask for a link of your own.');
  }
  const user = {
    ...userOf(services, { login, name: login, role: 'administrator', subenvironments: [], by: FIRST_LINK }),
    password,
  };
  await store.users.replaceOne({ _id: user._id }, user, { upsert: true, session });
  return user;
}

/** Who has a password, or has come by the provider of OIDC log-in. */
const CAN_LOG_IN = { $or: [{ password: { $exists: true } }, { identity: { $exists: true } }] };

/** A token for the first administrator's link, where nobody can log in yet. */
export async function firstLink(services: Services): Promise<string | undefined> {
  const someone = await services.store.users.findOne(CAN_LOG_IN, { projection: { _id: 1 } });
  return someone ? undefined : services.store.transaction((session) => newLink(services, null, session));
}

async function existing(store: Store, login: string, session: Session): Promise<UserDoc> {
  const user = await readUser(store, login, session);
  if (!user) throw missing(login);
  return user;
}

function missing(login: string): NotFound {
  return new NotFound(`There is no user ${login}; nothing was changed. \`muster users list\` lists them.`);
}
