import { UsageError } from '../domain/errors.ts';
import type { Role } from '../domain/role.ts';
import { audited } from './audited.ts';
import type { UserDoc } from './models.ts';
import type { Services } from './services.ts';
import { addUser, editUser, readUser } from './users.ts';

/** Whom a provider of OIDC log-in says to have recognised. */
export interface Identified {
  readonly issuer: string;
  /** The provider never gives it to another person. */
  readonly subject: string;
  /** The e-mail address, where the provider has verified it. */
  readonly email?: string;
  readonly name?: string;
  /** What the role claim gives; undefined: nothing, null: no claim is looked at. */
  readonly role: Role | undefined | null;
}

/** Who made the users that the role claim has made; their role follows it. */
const MADE_BY = 'oidc';

/** Why somebody is not let in: for the log, never for the person. */
export type Refusal = 'unverified-email' | 'unknown' | 'revoked' | 'other-identity' | 'no-role' | 'last-administrator';

/**
 * The user that a provider's identity stands for. The first log-in finds the user whose login name is the verified e-mail
 * address and ties the identity to it; from then on the identity alone counts, so that an address which the provider
 * gives to somebody else later opens nothing. Where a role claim is looked at, it makes users whom Muster does not know.
 */
export async function userOfIdentity(services: Services, identified: Identified): Promise<UserDoc | Refusal> {
  const { store } = services;
  const { issuer, subject } = identified;
  const tied = await store.users.findOne({ 'identity.issuer': issuer, 'identity.subject': subject });
  const user = tied ?? (await userOfEmail(services, identified));
  if (typeof user === 'string') return user;
  if (user.revokedAt) return 'revoked';
  return user.createdBy === MADE_BY && identified.role !== null ? withRole(services, user, identified.role) : user;
}

async function userOfEmail(
  services: Services,
  { issuer, subject, email, name, role }: Identified,
): Promise<UserDoc | Refusal> {
  if (email === undefined) return 'unverified-email';
  const identity = { issuer, subject };
  const { store } = services;
  const user = await readUser(store, email);
  if (user) {
    // The issuer is the machine's operator's to set: another one than before takes over from it.
    if (user.identity?.issuer === issuer) return 'other-identity';
    const untied = user.identity ? { 'identity.subject': user.identity.subject } : { identity: { $exists: false } };
    const tie = { step: 'access', by: MADE_BY, why: 'users identity' } as const;
    const isTied = await audited(services, tie, async (session) => {
      const { matchedCount } = await store.users.updateOne(
        { _id: user._id, ...untied },
        { $set: { identity } },
        { session },
      );
      return { result: matchedCount === 1, detail: matchedCount === 1 ? { user: user._id, issuer } : null };
    });
    return isTied ? { ...user, identity } : 'other-identity';
  }
  if (!role) return 'unknown';
  try {
    return await addUser(services, { login: email, ...(name && { name }), role, identity, by: MADE_BY });
  } catch (error) {
    // A user of that name who was revoked, or an address that is no login name.
    if (error instanceof UsageError) return 'revoked';
    throw error;
  }
}

async function withRole(services: Services, user: UserDoc, role: Role | undefined): Promise<UserDoc | Refusal> {
  if (role === undefined) return 'no-role';
  if (role === user.role) return user;
  try {
    return await editUser(services, user._id, { role }, { by: MADE_BY });
  } catch (error) {
    if (error instanceof UsageError) return 'last-administrator';
    throw error;
  }
}
