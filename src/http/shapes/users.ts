import { z } from 'zod';
import { ROLES, SCOPES } from '../../domain/role.ts';
import { list } from './common.ts';

export const Login = z.string().trim().min(1).max(100);
export const Password = z.string().min(1).max(1024);
export const RoleShape = z.enum(ROLES);

export const LogIn = z.strictObject({ login: Login, password: Password });
export const LinkUseShape = z.strictObject({
  token: z.string().min(1).max(100),
  login: Login.optional(),
  password: Password,
});

/** Who is logged in, and what a session's writes have to bear as x-csrf-token. */
export const Session = z.object({
  login: z.string().nullable(),
  name: z.string(),
  role: RoleShape,
  subenvironments: list(z.string()),
  /** Of an API key; null = all that the role may. */
  scopes: list(z.string()).nullable(),
  csrfToken: z.string().nullable(),
});

export const User = z.object({
  login: z.string(),
  name: z.string(),
  role: RoleShape,
  subenvironments: list(z.string()),
  /** Whether a password was set. */
  active: z.boolean(),
  /** The issuer by which the person has logged in (OIDC); null: by password alone. */
  identity: z.string().nullable(),
  revokedAt: z.date().nullable(),
  createdAt: z.date(),
  createdBy: z.string(),
});
/** The one-time link's token, by which the user sets a password: valid for a day, shown once. */
export const UserWithLink = User.extend({ link: z.string() });
const Subenvironments = z.array(z.string().trim().min(1).max(200)).max(1000);
export const NewUserShape = z.strictObject({
  login: Login,
  name: z.string().trim().min(1).max(200).optional(),
  role: RoleShape,
  subenvironments: Subenvironments.optional(),
});
export const UserEditShape = z.strictObject({
  name: z.string().trim().min(1).max(200).optional(),
  role: RoleShape.optional(),
  subenvironments: Subenvironments.optional(),
  /** Forgets who the person is to the log-in service: the next log-in with the e-mail address ties anew. */
  identity: z.null().optional(),
});

export const Key = z.object({
  id: z.string(),
  name: z.string(),
  role: RoleShape.nullable(),
  user: z.string().nullable(),
  scopes: list(z.string()),
  createdAt: z.date(),
  createdBy: z.string(),
  expiresAt: z.date().nullable(),
  lastUsedAt: z.date().nullable(),
  revokedAt: z.date().nullable(),
});
/** The key itself: shown once. */
export const KeyWithToken = Key.extend({ token: z.string() });
const Scopes = z
  .array(z.enum(SCOPES as [string, ...string[]]))
  .min(1)
  .max(30);
export const KeyEditShape = z.strictObject({
  scopes: Scopes.optional(),
  /** null: it may be used without end. */
  expiresAt: z.iso.datetime().nullable().optional(),
});
export const NewKeyShape = z.strictObject({
  name: z.string().trim().min(1).max(60),
  role: z.enum(['administrator', 'operator']).optional(),
  user: Login.optional(),
  scopes: Scopes.default(['read']),
  expiresAt: z.iso.datetime().optional(),
});
