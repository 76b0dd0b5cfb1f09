import { timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { keyOfToken } from '../store/keys.ts';
import type { KeyDoc, UserDoc } from '../store/models.ts';
import { sessionOf } from '../store/sessions.ts';
import { readUser } from '../store/users.ts';
import type { HttpContext } from './context.ts';
import { type Access, hasScope, type Principal } from './principal.ts';
import { HttpProblem, notFound } from './problems.ts';

export const COOKIE = 'muster_session';

/** Every route asks who it is before it looks at anything else of the request. */
export function authenticate(app: FastifyInstance, context: HttpContext): void {
  app.decorateRequest('principal', null as unknown as Principal);
  app.addHook('onRequest', async (request) => {
    const { access } = request.routeOptions.config;
    refuseOtherSites(request);
    if (access === undefined) return;
    const principal = await principalOf(context, request);
    if (!principal)
      throw new HttpProblem(401, 'not-logged-in', 'Log in, or send an API key as `Authorization: Bearer KEY`.');
    request.principal = principal;
    if (
      principal.csrf !== undefined &&
      isWrite(request) &&
      !sameText(request.headers['x-csrf-token'], principal.csrf)
    ) {
      throw new HttpProblem(
        403,
        'csrf',
        'A write by a session bears its token (GET /api/v1/session) as x-csrf-token. Nothing was changed.',
      );
    }
    if (access === 'anyone-logged-in') return;
    if (!access.roles.includes(principal.role)) throw notFound;
    refuseWithoutScope(principal, access);
  });
}

/** For routes that need more than their own access. */
export function refuseWithoutScope(principal: Principal, access: Access): void {
  if (hasScope(principal, access)) return;
  throw new HttpProblem(403, 'scope', `The API key lacks the scope ${access.noun}:${access.use}. Nothing was changed.`);
}

async function principalOf(context: HttpContext, request: FastifyRequest): Promise<Principal | undefined> {
  const [scheme, token] = request.headers.authorization?.split(' ') ?? [];
  if (scheme !== undefined) {
    const key = scheme.toLowerCase() === 'bearer' && token ? await keyOfToken(context, token) : undefined;
    return key && principalOfKey(context, key);
  }
  const cookie = request.cookies[COOKIE];
  const open = cookie === undefined ? undefined : await sessionOf(context, cookie);
  return open && { ...principalOfUser(open.user), csrf: open.session.csrf };
}

async function principalOfKey({ store }: HttpContext, key: KeyDoc): Promise<Principal | undefined> {
  const by = `key:${key.name}`;
  const { scopes, name, role } = key;
  if (key.user === undefined) return role && { by, owner: by, name, role, subenvironments: [], scopes };
  const user = await readUser(store, key.user);
  return user ? { ...principalOfUser(user), by, scopes } : undefined;
}

export function principalOfUser({ _id, name, role, subenvironments }: UserDoc): Principal {
  const by = `user:${_id}`;
  return { by, owner: by, login: _id, name, role, subenvironments, scopes: null };
}

const READS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);
export function isWrite({ method }: FastifyRequest): boolean {
  return !READS.has(method);
}

/** Browsers say where a request comes from: writes from other sites have no business here, log-in included. */
function refuseOtherSites(request: FastifyRequest): void {
  if (isWrite(request) && request.headers['sec-fetch-site'] === 'cross-site') {
    throw new HttpProblem(403, 'cross-site', 'Writes from another site are not taken. Nothing was changed.');
  }
}

function sameText(given: string | string[] | undefined, expected: string): boolean {
  if (typeof given !== 'string') return false;
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}

/** `Secure` where the browser came by TLS, to us or to the proxy before us. */
export function setSessionCookie(request: FastifyRequest, reply: FastifyReply, token: string): void {
  const secure = request.protocol === 'https' || request.headers['x-forwarded-proto'] === 'https';
  reply.setCookie(COOKIE, token, { path: '/', httpOnly: true, sameSite: 'strict', secure });
}
