import { NotFound } from '../../domain/errors.ts';
import { countFailedLogIn } from '../../store/failedLogIns.ts';
import { logIn, logOut, openSession } from '../../store/sessions.ts';
import { useLink } from '../../store/users.ts';
import type { App } from '../app.ts';
import { COOKIE, principalOfUser, setSessionCookie } from '../authenticate.ts';
import type { HttpContext } from '../context.ts';
import { HttpProblem } from '../problems.ts';
import { Nothing, PROBLEMS } from '../shapes/common.ts';
import { LinkUseShape, LogIn, Session } from '../shapes/users.ts';
import { countLogIn } from '../tries.ts';
import { viewSession } from '../views.ts';

const tags = ['session'];

export function sessionRoutes(app: App, context: HttpContext): void {
  app.post(
    '/session',
    {
      schema: {
        tags,
        summary: 'Logs in; the session is a cookie',
        body: LogIn,
        response: { 200: Session, ...PROBLEMS },
      },
    },
    async (request, reply) => {
      const { body } = request;
      const right = await countLogIn(context, request, body.login);
      const open = await logIn(context, { ...body, before: request.cookies[COOKIE] });
      if (!open) {
        await countFailedLogIn(context, body.login);
        throw new HttpProblem(401, 'wrong-password', 'Login name or password are not right.');
      }
      await right();
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
      if (token !== undefined) await logOut(context, token, request.principal.by);
      return reply.clearCookie(COOKIE, { path: '/' }).code(204).send();
    },
  );

  app.post(
    '/password',
    {
      schema: {
        tags,
        summary: 'Sets a password by a one-time link, and logs in',
        body: LinkUseShape,
        response: { 200: Session, ...PROBLEMS },
      },
    },
    async (request, reply) => {
      const { token, login, password } = request.body;
      const right = await countLogIn(context, request);
      const use = { token, password, ...(login !== undefined && { login }) };
      const user = await useLink(context, use).catch(async (error: unknown) => {
        if (!(error instanceof NotFound)) throw error;
        await countFailedLogIn(context);
        // A link is a secret, so who holds a used one may be told so: there is no other name in it to be guessed.
        throw new HttpProblem(404, error.code, error.message);
      });
      await right();
      const open = await openSession(context, user, { method: 'link', before: request.cookies[COOKIE] });
      setSessionCookie(request, reply, open.token);
      return viewSession({ ...principalOfUser(user), csrf: open.session.csrf });
    },
  );
}
