import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { CALLBACK } from '../../settings/oidc.ts';
import { countFailedLogIn } from '../../store/failedLogIns.ts';
import { userOfIdentity } from '../../store/identities.ts';
import { openSession } from '../../store/sessions.ts';
import type { App } from '../app.ts';
import { COOKIE, setSessionCookie } from '../authenticate.ts';
import type { HttpContext } from '../context.ts';
import { Answer, Attempt, expired, OidcLogIn, refused } from '../oidc.ts';
import { HttpProblem, notFound } from '../problems.ts';
import { PROBLEMS, stream } from '../shapes/common.ts';
import { countLogIn } from '../tries.ts';

const tags = ['session'];
const ATTEMPT = 'muster_oidc';
/** How long the person may take at the provider, s. */
const ATTEMPT_LIVES = 600;
/** An address of this site: no other host, no control characters. */
const Place = z
  .string()
  .max(500)
  .regex(/^\/(?![/\\])[\x21-\x5b\x5d-\x7e]*$/, 'must be a path of this site');

/** Log-in through the company's provider. Where none is set these routes do not exist for anybody. */
export function oidcRoutes(app: App, context: HttpContext): void {
  const { oidc: settings, log } = context;
  const provider = settings && new OidcLogIn(settings, log);
  const cookie = {
    path: new URL(settings?.redirectUri ?? `http://localhost${CALLBACK}`).pathname,
    httpOnly: true,
    // The browser comes back from another site.
    sameSite: 'lax' as const,
    secure: settings?.redirectUri.startsWith('https:') ?? false,
  };

  app.get(
    '/session/methods',
    {
      schema: {
        tags,
        summary: 'How people may log in',
        response: { 200: z.object({ password: z.literal(true), oidc: z.boolean() }), ...PROBLEMS },
      },
    },
    () => ({ password: true as const, oidc: provider !== undefined }),
  );

  app.get(
    '/session/oidc',
    {
      schema: {
        tags,
        summary: 'Sends the browser to the log-in service of the company',
        querystring: z.strictObject({ to: Place.default('/api/docs') }),
        response: { 302: z.undefined().meta({ description: 'To the log-in service' }), ...PROBLEMS },
      },
    },
    async (request, reply) =>
      asPage(request, reply, async () => {
        if (!provider) throw notFound;
        const { url, attempt } = await provider.begin(request.query.to);
        reply.setCookie(ATTEMPT, encode(attempt), { ...cookie, maxAge: ATTEMPT_LIVES });
        return reply.header('cache-control', 'no-store').redirect(url.href);
      }),
  );

  app.get(
    '/session/oidc/callback',
    {
      schema: {
        tags,
        summary: 'Where the log-in service sends the browser back to; opens the session',
        querystring: Answer,
        response: { 200: stream('text/html', 'Leads on to where the log-in was to lead'), ...PROBLEMS },
      },
    },
    async (request, reply) =>
      asPage(request, reply, async () => {
        if (!provider) throw notFound;
        const right = await countLogIn(context, request);
        const attempt = decode(request.cookies[ATTEMPT]);
        reply.clearCookie(ATTEMPT, cookie);
        if (!attempt) throw expired();
        const user = await userOfIdentity(context, await provider.finish(request.query, attempt));
        if (typeof user === 'string') {
          log.warn({ reason: user }, 'log-in by the provider refused');
          await countFailedLogIn(context);
          throw refused();
        }
        await right();
        const { token } = await openSession(context, user, { method: 'oidc', before: request.cookies[COOKIE] });
        setSessionCookie(request, reply, token);
        log.info({ role: user.role }, 'logged in by the provider');
        return sendPage(reply, 200, 'You are logged in', '', attempt.to);
      }),
  );
}

function encode(attempt: Attempt): string {
  return Buffer.from(JSON.stringify(attempt)).toString('base64url');
}

function decode(text = ''): Attempt | undefined {
  try {
    const attempt = Attempt.parse(JSON.parse(Buffer.from(text, 'base64url').toString('utf8')));
    return { ...attempt, to: Place.parse(attempt.to) };
  } catch {
    return undefined;
  }
}

/** Problems as a page for those who come with a browser. */
async function asPage(request: FastifyRequest, reply: FastifyReply, work: () => Promise<FastifyReply>) {
  try {
    return await work();
  } catch (error) {
    const isForPeople = error instanceof HttpProblem && request.headers.accept?.includes('text/html');
    if (!isForPeople) throw error;
    return sendPage(reply.headers(error.headers), error.status, 'You are not logged in', error.message, '/');
  }
}

/**
 * A page that leads on by itself where all went well: a redirect from here would be one that the provider's site began,
 * on which browsers send no strict cookie.
 */
function sendPage(reply: FastifyReply, status: number, title: string, text: string, to: string): FastifyReply {
  const [said, place] = [escaped(text), escaped(to)];
  const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">${status === 200 ? `\n<meta http-equiv="refresh" content="0;url=${place}">` : ''}
<title>${title} · Muster</title>
</head>
<body>
<h1>${title}</h1>
${said && `<p>${said}</p>\n`}<p><a href="${place}">Go on</a></p>
</body>
</html>
`;
  return reply
    .code(status)
    .type('text/html; charset=utf-8')
    .header('cache-control', 'no-store')
    .serializer((body: unknown) => body as string)
    .send(page);
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`);
}
