import type { z } from 'zod';
import type { KeyDoc, UserDoc } from '../store/models.ts';
import type { Principal } from './principal.ts';
import type { Key, Session, User } from './shapes/users.ts';

export function viewSession({ login, name, role, subenvironments, scopes, csrf }: Principal): z.output<typeof Session> {
  return { login: login ?? null, name, role, subenvironments, scopes, csrfToken: csrf ?? null };
}

export function viewUser({
  _id,
  name,
  role,
  subenvironments,
  password,
  identity,
  revokedAt,
  createdAt,
  createdBy,
}: UserDoc): z.output<typeof User> {
  const active = password !== undefined && revokedAt === undefined;
  return {
    login: _id,
    name,
    role,
    subenvironments,
    active,
    identity: identity?.issuer ?? null,
    revokedAt: revokedAt ?? null,
    createdAt,
    createdBy,
  };
}

export function viewKey({
  _id,
  name,
  role,
  user,
  scopes,
  createdAt,
  createdBy,
  expiresAt,
  lastUsedAt,
  revokedAt,
}: KeyDoc): z.output<typeof Key> {
  return {
    id: _id,
    name,
    role: role ?? null,
    user: user ?? null,
    scopes,
    createdAt,
    createdBy,
    expiresAt: expiresAt ?? null,
    lastUsedAt: lastUsedAt ?? null,
    revokedAt: revokedAt ?? null,
  };
}
