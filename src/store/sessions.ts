import { audited } from './audited.ts';
import type { SessionDoc, UserDoc } from './models.ts';
import { checkPassword } from './passwords.ts';
import type { Services } from './services.ts';
import { hashToken, newToken } from './tokens.ts';
import { readUser } from './users.ts';

/** A session ends when it was not used for this long, ms, */
const IDLE = 30 * 60_000;
/** and this long after log-in in any case. */
const ABSOLUTE = 12 * 3_600_000;
/** How often the last use is written, ms. */
const SEEN = 60_000;

export interface OpenSession {
  readonly session: SessionDoc;
  readonly user: UserDoc;
}

/** Opens a session where login and password are right. */
export async function logIn(
  services: Services,
  { login, password, before }: { login: string; password: string; before?: string | undefined },
): Promise<(OpenSession & { token: string }) | undefined> {
  const user = await readUser(services.store, login);
  const right = await checkPassword(password, user?.password);
  if (!user || !right) return undefined;
  // Checking takes its time: access may have been taken away meanwhile, or the password changed.
  const now = await readUser(services.store, login);
  return now && now.password === user.password ? openSession(services, now, { method: 'password', before }) : undefined;
}

/** How somebody has proved who he is. */
export type LogInMethod = 'password' | 'link' | 'oidc';

/** Opens a session of a user who has proved who he is; the one that the browser had `before` ends (rotation). */
export async function openSession(
  services: Services,
  user: UserDoc,
  { method, before }: { method: LogInMethod; before?: string | undefined },
): Promise<OpenSession & { token: string }> {
  const { store, clock } = services;
  const token = newToken();
  const now = clock.now();
  const session: SessionDoc = {
    _id: hashToken(token),
    user: user._id,
    csrf: newToken(),
    createdAt: now,
    seenAt: now,
    expiresAt: new Date(now.getTime() + ABSOLUTE),
  };
  return audited(services, { step: 'access', by: `user:${user._id}`, why: 'log-in' }, async (transaction) => {
    if (before !== undefined) await store.sessions.deleteOne({ _id: hashToken(before) }, { session: transaction });
    await store.sessions.insertOne(session, { session: transaction });
    return { result: { session, user, token }, detail: { method, role: user.role } };
  });
}

/** The session of a cookie's token, with its user as stored now; undefined where it has ended. */
export async function sessionOf({ store, clock }: Services, token: string): Promise<OpenSession | undefined> {
  const session = await store.sessions.findOne({ _id: hashToken(token) });
  const now = clock.now();
  if (!session || session.expiresAt <= now || now.getTime() - session.seenAt.getTime() >= IDLE) return undefined;
  const user = await readUser(store, session.user);
  if (!user) return undefined;
  if (now.getTime() - session.seenAt.getTime() > SEEN) {
    await store.sessions.updateOne({ _id: session._id }, { $set: { seenAt: now } });
  }
  return { session, user };
}

export async function logOut(services: Services, token: string, by: string): Promise<void> {
  await audited(services, { step: 'access', by, why: 'log-out' }, async (session) => {
    const { deletedCount } = await services.store.sessions.deleteOne({ _id: hashToken(token) }, { session });
    return { result: undefined, detail: deletedCount > 0 ? {} : null };
  });
}
