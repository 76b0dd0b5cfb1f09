import { ChangedMeanwhile, NotFound, UsageError } from '../domain/errors.ts';
import type { Role } from '../domain/role.ts';
import { isDuplicateKey } from './failures.ts';
import type { UserDoc } from './models.ts';
import { hashPassword } from './passwords.ts';
import type { Services } from './services.ts';
import type { Store } from './store.ts';
import { hashToken, newToken } from './tokens.ts';

/** For how long a one-time link may be used, ms. */
const LINK = 24 * 3_600_000;
const SHORTEST_PASSWORD = 12;

/** Login names are compared without case. */
export function loginKey(login: string): string {
  return login.trim().normalize('NFC').toLowerCase();
}

/** The user, unless revoked. */
export async function readUser(store: Store, login: string): Promise<UserDoc | null> {
  return store.users.findOne({ _id: loginKey(login), revokedAt: { $exists: false } });
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

/** Adds a user without a password: `linkFor` gives the one-time link by which it is set. */
export async function addUser(
  services: Services,
  { login, name, role, subenvironments = [], identity, by }: NewUser,
): Promise<UserDoc> {
  const user = {
    ...userOf(services, { login, role, by, name: name ?? login, subenvironments }),
    ...(identity && { identity }),
  };
  try {
    await services.store.users.insertOne(user);
  } catch (error) {
    if (isDuplicateKey(error)) throw new UsageError(`User ${user._id} exists already; nothing was changed.`);
    throw error;
  }
  return user;
}

function userOf(
  { clock }: Services,
  { login, name, role, subenvironments, by }: Required<Omit<NewUser, 'identity'>>,
): UserDoc {
  const _id = loginKey(login);
  if (!/^[\p{L}\p{N}._@+'-]{1,100}$/u.test(_id)) {
    throw new UsageError("A login name has 1 to 100 letters, digits and . _ @ + ' -; nothing was changed.");
  }
  if (role !== 'reseller' && subenvironments.length > 0) {
    throw new UsageError('Subenvironments are for resellers alone; nothing was changed.');
  }
  return { _id, name: name.trim(), role, subenvironments: [...subenvironments], createdAt: clock.now(), createdBy: by };
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
export async function editUser({ store }: Services, login: string, edit: UserEdit, asRead?: UserDoc): Promise<UserDoc> {
  const { identity, ...set } = edit;
  const { identity: tied, ...user } = await existing(store, login);
  const next = { role: user.role, subenvironments: user.subenvironments, ...set };
  const subenvironments = next.role === 'reseller' ? [...next.subenvironments] : [];
  return store.transaction(async (session) => {
    const { matchedCount } = await store.users.updateOne(
      { _id: user._id, revokedAt: { $exists: false }, ...(asRead && shown(asRead)) },
      { $set: { ...set, role: next.role, subenvironments }, ...(identity === null && { $unset: { identity: '' } }) },
      { session },
    );
    if (matchedCount === 0) throw asRead ? new ChangedMeanwhile('user') : missing(login);
    if (user.role === 'administrator') await refuseLast(store, user._id, session);
    const kept = identity === null ? undefined : tied;
    return { ...user, ...(kept && { identity: kept }), ...set, role: next.role, subenvironments };
  });
}

/** What an edit changes. */
function shown({ name, role, subenvironments }: UserDoc) {
  return { name, role, subenvironments };
}

/** Takes a user's access away: sessions, links and keys of the user end at once. The name stays for the audit. */
export async function revokeUser({ store, clock }: Services, login: string): Promise<void> {
  const { _id, role } = await existing(store, login);
  const now = clock.now();
  await store.transaction(async (session) => {
    await store.users.updateOne({ _id }, { $set: { revokedAt: now }, $unset: { password: '' } }, { session });
    if (role === 'administrator') await refuseLast(store, _id, session);
    await store.sessions.deleteMany({ user: _id }, { session });
    await store.links.deleteMany({ user: _id }, { session });
    await store.keys.updateMany(
      { user: _id, revokedAt: { $exists: false } },
      { $set: { revokedAt: now } },
      { session },
    );
  });
}

/** Somebody must remain who may do everything. */
async function refuseLast(
  store: Store,
  login: string,
  session: Parameters<Parameters<Store['transaction']>[0]>[0],
): Promise<void> {
  // Written, so that two who take each other's role away at once conflict.
  await store.meta.updateOne({ _id: 'users' }, { $inc: { revision: 1 } }, { upsert: true, session });
  const left = await store.users.findOne({ role: 'administrator', revokedAt: { $exists: false } }, { session });
  if (!left)
    throw new UsageError(`User ${login} is the last administrator; nothing was changed. Make another one first.`);
}

/** A one-time link's token, by which the user sets a password; null = for the first administrator. Older ones end. */
export async function linkFor({ store, clock }: Services, login: string | null): Promise<string> {
  const user = login === null ? null : (await existing(store, login))._id;
  const token = newToken();
  await store.links.deleteMany({ user });
  await store.links.insertOne({ _id: hashToken(token), user, expiresAt: new Date(clock.now().getTime() + LINK) });
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
  if (!(await store.links.findOne({ _id, expiresAt: { $gt: clock.now() } }))) throw gone;
  const hash = await hashPassword(password);
  return store.transaction(async (session) => {
    const link = await store.links.findOneAndDelete({ _id, expiresAt: { $gt: clock.now() } }, { session });
    if (!link) throw gone;
    if (link.user === null) return firstAdministrator(services, login, hash, session);
    const user = await store.users.findOneAndUpdate(
      { _id: link.user, revokedAt: { $exists: false } },
      { $set: { password: hash } },
      { session, returnDocument: 'after' },
    );
    if (!user) throw gone;
    await store.sessions.deleteMany({ user: user._id }, { session });
    return user;
  });
}

async function firstAdministrator(
  services: Services,
  login: string | undefined,
  password: string,
  session: Parameters<Parameters<Store['transaction']>[0]>[0],
): Promise<UserDoc> {
  const { store } = services;
  if (login === undefined) throw new UsageError('The first administrator needs a login name; nothing was changed.');
  if (await store.users.findOne(CAN_LOG_IN, { session })) {
    throw new NotFound('There is an administrator already; nothing was changed. Ask for a link of your own.');
  }
  const user = {
    ...userOf(services, { login, name: login, role: 'administrator', subenvironments: [], by: 'first link' }),
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
  return someone ? undefined : linkFor(services, null);
}

async function existing(store: Store, login: string): Promise<UserDoc> {
  const user = await readUser(store, login);
  if (!user) throw missing(login);
  return user;
}

function missing(login: string): NotFound {
  return new NotFound(`There is no user ${login}; nothing was changed. \`muster users list\` lists them.`);
}
