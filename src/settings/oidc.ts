import { UsageError } from '../domain/errors.ts';
import { ROLES, type Role } from '../domain/role.ts';
import type { Env } from './env.ts';
import { tellingOf } from './telling.ts';

/** Log-in through a company's own provider (OpenID Connect). */
export interface OidcSettings {
  readonly issuer: URL;
  readonly clientId: string;
  /** None: a public client, which proves itself by PKCE alone. */
  readonly clientSecret?: string;
  readonly scope: string;
  /** Where the provider sends the browser back to; the same text has to be registered there. */
  readonly redirectUri: string;
  /** Which claim says who is to have which role; none: users are made in Muster alone. */
  readonly roles?: { readonly claim: string; readonly of: ReadonlyMap<string, Role> };
}

export const CALLBACK = '/api/v1/session/oidc/callback';

/** @throws {UsageError} of one line that names the variable which is missing or wrong. */
export function oidcOf(env: Env): OidcSettings | undefined {
  const { OIDC_ISSUER, OIDC_CLIENT_ID, OIDC_CLIENT_SECRET, OIDC_SCOPE, OIDC_ROLE_CLAIM, OIDC_ROLES } = env;
  if (OIDC_ISSUER === undefined) return undefined;
  if (OIDC_CLIENT_ID === undefined) throw missing('OIDC_ISSUER', 'OIDC_CLIENT_ID');
  if (OIDC_ROLE_CLAIM !== undefined && OIDC_ROLES === undefined) throw missing('OIDC_ROLE_CLAIM', 'OIDC_ROLES');
  if (OIDC_ROLES !== undefined && OIDC_ROLE_CLAIM === undefined) throw missing('OIDC_ROLES', 'OIDC_ROLE_CLAIM');
  return {
    issuer: new URL(OIDC_ISSUER),
    clientId: OIDC_CLIENT_ID,
    ...(OIDC_CLIENT_SECRET !== undefined && { clientSecret: OIDC_CLIENT_SECRET }),
    scope: OIDC_SCOPE,
    redirectUri: `${tellingOf(env).url}${CALLBACK}`,
    ...(OIDC_ROLE_CLAIM !== undefined &&
      OIDC_ROLES !== undefined && { roles: { claim: OIDC_ROLE_CLAIM, of: rolesOf(OIDC_ROLES) } }),
  };
}

/** `Muster Admins=administrator, Muster Ops=operator`: what the claim holds, and the role that it gives. */
function rolesOf(text: string): Map<string, Role> {
  const roles = new Map<string, Role>();
  for (const entry of text.split(',')) {
    const at = entry.lastIndexOf('=');
    const [value, name] = [entry.slice(0, at).trim(), entry.slice(at + 1).trim()];
    const role = ROLES.find((one) => one === name);
    if (at < 1 || value === '' || !role) {
      throw new UsageError(
        `OIDC_ROLES has ${JSON.stringify(entry.trim())}, which is not VALUE=ROLE; nothing was started. Write \`value=role, value=role\`, a role being ${ROLES.join(', ')}.`,
      );
    }
    roles.set(value, role);
  }
  return roles;
}

function missing(set: string, needed: string): UsageError {
  return new UsageError(`${set} is set, but ${needed} is not; nothing was started. Set ${needed}.`);
}
