import type { FastifyReply, FastifyRequest } from 'fastify';
import { logIn, logOut, openSession } from '../../store/sessions.ts';
import { loginKey, useLink } from '../../store/users.ts';
import type { App } from '../app.ts';
import { COOKIE, principalOfUser, setSessionCookie } from '../authenticate.ts';
import type { HttpContext } from '../context.ts';
import { HttpProblem } from '../problems.ts';
import { Nothing, PROBLEMS } from '../shapes/common.ts';
import { LinkUseShape, LogIn, Session } from '../shapes/users.ts';
import { viewSession } from '../views.ts';

const tags = ['session'];
/** Tries at logging in: from one address, and of one name from one address. */
const FROM_ADDRESS = { max: 60, timeWindow: 60_000 };
const OF_NAME = { max: 10, timeWindow: 5 * 60_000 };

export function sessionRoutes(app: App, context: HttpContext): void {
  const fromAddress = app.createRateLimit({ ...FROM_ADDRESS, keyGenerator: ({ ip }) => `address ${ip}` });
  const ofName = app.createRateLimit({
    ...OF_NAME,
    keyGenerator: (request) => `login ${request.ip} ${nameIn(request)}`,
  });
  const limited = async (request: FastifyRequest, reply: FastifyReply) => {
    for (const limit of [fromAddress, ofName]) {
      const found = await limit(request);
      if (found.isAllowed || !found.isExceeded) continue;
      reply.header('retry-after', found.ttlInSeconds);
      throw new HttpProblem(429, 'too-many-tries', `Too many tries. Try again in ${found.ttlInSeconds} s.`);
    }
  };

  app.post(
    '/session',
    {
      preHandler: limited,
      schema: {
        tags,
        summary: 'Logs in; the session is a cookie',
        body: LogIn,
        response: { 200: Session, ...PROBLEMS },
      },
    },
    async (request, reply) => {
      const open = await logIn(context, { ...request.body, before: request.cookies[COOKIE] });
      if (!open) throw new HttpProblem(401, 'wrong-password', 'Login name or password are not right.');
      setSessionCookie(request, reply, open.token);
      return viewSession({ ...principalOfUser(open.user), csrf: open.session.csrf });
    },
  );

  app.get(
    '/session',
    {
      config: { access: 'anyone-logged-in' },
      schema: { tags, summary: 'Who is logged in', response: { 200: Session, ...PROBLEMS } },
    },
    async ({ principal }) => viewSession(principal),
  );

  app.delete(
    '/session',
    {
      config: { access: 'anyone-logged-in' },
      schema: { tags, summary: 'Logs out', response: { 204: Nothing, ...PROBLEMS } },
    },
    async (request, reply) => {
      const token = request.cookies[COOKIE];
      if (token !== undefined) await logOut(context, token);
      return reply.clearCookie(COOKIE, { path: '/' }).code(204).send();
    },
  );

  app.post(
    '/password',
    {
      preHandler: limited,
      schema: {
        tags,
        summary: 'Sets a password by a one-time link, and logs in',
        body: LinkUseShape,
        response: { 200: Session, ...PROBLEMS },
      },
    },
    async (request, reply) => {
      const { token, login, password } = request.body;
      const user = await useLink(context, { token, password, ...(login !== undefined && { login }) });
      const open = await openSession(context, user);
      setSessionCookie(request, reply, open.token);
      return viewSession({ ...principalOfUser(user), csrf: open.session.csrf });
    },
  );
}

function nameIn({ body }: FastifyRequest): string {
  const { login } = body as { login?: string };
  return login === undefined ? '' : loginKey(login);
}
