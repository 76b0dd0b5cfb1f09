import { randomBytes, timingSafeEqual } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { NotFound, UsageError } from '../domain/errors.ts';
import { type Role, SCOPES } from '../domain/role.ts';
import { audited } from './audited.ts';
import { isDuplicateKey } from './failures.ts';
import type { KeyDoc } from './models.ts';
import type { Services } from './services.ts';
import type { Store } from './store.ts';
import { hashToken, newToken } from './tokens.ts';
import { readUser } from './users.ts';

export interface NewKey {
  readonly name: string;
  /** A key of its own has a role (administrator or operator); a user's key may do what the user may. */
  readonly role?: Role;
  readonly user?: string;
  readonly scopes: readonly string[];
  readonly expiresAt?: Date;
  readonly by: string;
}

/** Makes a key. The token is given here and never again: its hash alone is stored. */
export async function addKey(
  services: Services,
  { name, role, user, scopes, expiresAt, by }: NewKey,
): Promise<{ key: KeyDoc; token: string }> {
  const { store, clock } = services;
  if (!/^[\p{L}\p{N}._@+-]{1,60}$/u.test(name))
    throw new UsageError('A key has a name of 1 to 60 letters, digits and . _ @ + -; nothing was changed.');
  if ((role === undefined) === (user === undefined))
    throw new UsageError("A key has a role, or is a user's (one of the two); nothing was changed.");
  if (role !== undefined && role !== 'administrator' && role !== 'operator') {
    throw new UsageError(
      `What a ${role} sees hangs on who it is, so such a key is a user's; nothing was changed. Name the user instead of the role.`,
    );
  }
  const owner = user === undefined ? undefined : await readUser(store, user);
  if (owner === null)
    throw new NotFound(`There is no user ${user}; nothing was changed. \`muster users list\` lists them.`);
  refuseScopes(scopes);
  if (expiresAt) refuseOver(expiresAt, clock.now());
  const secret = newToken();
  const key: KeyDoc = {
    _id: `k${randomBytes(6).toString('hex')}`,
    name,
    ...(role && { role }),
    ...(owner && { user: owner._id }),
    scopes: [...new Set(scopes)],
    hash: hashToken(secret),
    createdAt: clock.now(),
    createdBy: by,
    ...(expiresAt && { expiresAt }),
  };
  try {
    await audited(services, { step: 'access', by, why: 'keys add' }, async (session) => {
      await store.keys.insertOne(key, { session });
      return { result: undefined, detail: { key: key._id, after: shown(key) } };
    });
  } catch (error) {
    if (isDuplicateKey(error))
      throw new UsageError(`A key named ${name} exists already, or existed; nothing was changed. Choose another name.`);
    throw error;
  }
  return { key, token: `muster_${key._id}_${secret}` };
}

/** What of a key stands in the audit. */
function shown({ name, role, user, scopes, expiresAt }: KeyDoc) {
  return { name, ...(role && { role }), ...(user !== undefined && { user }), scopes, ...(expiresAt && { expiresAt }) };
}

export interface KeyEdit {
  readonly scopes?: readonly string[];
  /** null: it may be used without end. */
  readonly expiresAt?: Date | null;
}

/** Changes what a key may do, and until when; named by its id or name. What it asks next is judged by that. */
export async function editKey(
  services: Services,
  text: string,
  { scopes, expiresAt }: KeyEdit,
  by: string,
): Promise<KeyDoc> {
  const { store, clock } = services;
  if (scopes) refuseScopes(scopes);
  if (expiresAt) refuseOver(expiresAt, clock.now());
  return audited(services, { step: 'access', by, why: 'keys edit' }, async (session) => {
    const before = await store.keys.findOne(keyNamed(text), { session });
    if (!before) throw missing(text);
    const { expiresAt: until, ...rest } = before;
    const end = expiresAt === undefined ? until : expiresAt;
    const key: KeyDoc = { ...rest, ...(scopes && { scopes: [...new Set(scopes)] }), ...(end && { expiresAt: end }) };
    await store.keys.updateOne(
      { _id: key._id },
      end
        ? { $set: { scopes: key.scopes, expiresAt: end } }
        : { $set: { scopes: key.scopes }, $unset: { expiresAt: '' } },
      { session },
    );
    const detail = { key: key._id, before: shown(before), after: shown(key) };
    return { result: key, detail: isDeepStrictEqual(detail.before, detail.after) ? null : detail };
  });
}

const keyNamed = (text: string) => ({ $or: [{ _id: text }, { name: text }], revokedAt: { $exists: false } });

function missing(text: string): NotFound {
  return new NotFound(`There is no key ${text}; nothing was changed. \`muster keys list\` lists them.`);
}

function refuseScopes(scopes: readonly string[]): void {
  const unknown = scopes.find((scope) => !SCOPES.includes(scope));
  if (unknown !== undefined)
    throw new UsageError(`${unknown} is no scope; nothing was changed. Scopes: ${SCOPES.join(', ')}.`);
  if (scopes.length === 0)
    throw new UsageError(
      'A key needs a scope; nothing was changed. `read` allows to read everything that its role sees.',
    );
}

function refuseOver(expiresAt: Date, now: Date): void {
  if (expiresAt <= now)
    throw new UsageError('A key that is over already opens nothing; nothing was changed. Give a later date.');
}

export function listKeys(store: Store): Promise<KeyDoc[]> {
  return store.keys.find().sort({ name: 1 }).toArray();
}

/** Ends a key, named by its id or name. */
export async function revokeKey(services: Services, text: string, by: string): Promise<KeyDoc> {
  const { store, clock } = services;
  return audited(services, { step: 'access', by, why: 'keys revoke' }, async (session) => {
    const key = await store.keys.findOneAndUpdate(
      keyNamed(text),
      { $set: { revokedAt: clock.now() } },
      { returnDocument: 'after', session },
    );
    if (!key) throw missing(text);
    return { result: key, detail: { key: key._id, before: shown(key), after: null } };
  });
}

/** How often the last use of a key is written, ms. */
const USED = 60_000;

/** The key whose token this is, if it is valid now. */
export async function keyOfToken({ store, clock }: Services, token: string): Promise<KeyDoc | undefined> {
  const [, id, secret] = /^muster_(k[0-9a-f]{12})_([A-Za-z0-9_-]{43})$/.exec(token) ?? [];
  if (id === undefined || secret === undefined) return undefined;
  const key = await store.keys.findOne({ _id: id });
  const now = clock.now();
  if (!key || !timingSafeEqual(Buffer.from(key.hash), Buffer.from(hashToken(secret)))) return undefined;
  if (key.revokedAt || (key.expiresAt && key.expiresAt <= now)) return undefined;
  if (!key.lastUsedAt || now.getTime() - key.lastUsedAt.getTime() > USED) {
    await store.keys.updateOne({ _id: id }, { $set: { lastUsedAt: now } });
  }
  return key;
}
