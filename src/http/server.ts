import cookie from '@fastify/cookie';
import helmet from '@fastify/helmet';
import multipart from '@fastify/multipart';
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import fastify, { type FastifyInstance, LogController } from 'fastify';
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';
import { requestSeconds } from '../telemetry/metrics.ts';
import type { App } from './app.ts';
import { authenticate } from './authenticate.ts';
import type { HttpContext } from './context.ts';
import { idempotency } from './idempotency.ts';
import { openApi } from './openapi.ts';
import { addHealth, addMetrics, type Listening, listen } from './operations.ts';
import { codeOf, HttpProblem, notFound, onBrokenRequest, onError, sendProblem } from './problems.ts';
import { queuePages } from './queuePages.ts';
import { checkRoutes } from './routes/checks.ts';
import { courseRoutes } from './routes/courses.ts';
import { exportRoutes } from './routes/exports.ts';
import { feedRoutes } from './routes/feeds.ts';
import { groupChangeRoutes } from './routes/groupChanges.ts';
import { groupRoutes } from './routes/groups.ts';
import { learnerRoutes } from './routes/learners.ts';
import { oidcRoutes } from './routes/oidc.ts';
import { privacyRoutes } from './routes/privacy.ts';
import { queueRoutes } from './routes/queue.ts';
import { reportRoutes } from './routes/reports.ts';
import { runRoutes } from './routes/runs.ts';
import { sessionRoutes } from './routes/session.ts';
import { setupRoutes } from './routes/setup.ts';
import { subenvironmentRoutes } from './routes/subenvironments.ts';
import { keyRoutes, userRoutes } from './routes/users.ts';
import { PATIENCE, refuseSlowBodies } from './slowBodies.ts';
import { sweepUploads } from './uploads.ts';

export interface ServerOptions {
  /** Serve /metrics here, to API keys; false where METRICS_PORT serves it. */
  readonly metrics?: boolean;
  /** How long a body may take, ms. */
  readonly patience?: number;
}

/** The nouns of the API, in the order of its documentation. */
const ROUTES = [
  sessionRoutes,
  oidcRoutes,
  feedRoutes,
  runRoutes,
  queueRoutes,
  groupRoutes,
  groupChangeRoutes,
  learnerRoutes,
  privacyRoutes,
  courseRoutes,
  reportRoutes,
  subenvironmentRoutes,
  exportRoutes,
  checkRoutes,
  userRoutes,
  keyRoutes,
];
/** Bytes of a JSON body. Files are streamed and have no limit. */
const BODY_LIMIT = 1024 * 1024;
/** Letters of a name in an address: External IDs may be long, and are escaped there. */
const PARAM_LIMIT = 1500;
/** How often uploads that nobody will read are looked for, ms. */
const SWEEP = 600_000;

/** The API with all that guards it, ready to listen or to be asked by `inject`. */
export async function buildServer(
  context: HttpContext,
  { metrics = true, patience = PATIENCE }: ServerOptions = {},
): Promise<FastifyInstance> {
  const app = fastify({
    loggerInstance: context.log,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: BODY_LIMIT,
    trustProxy: context.trustProxy ?? false,
    clientErrorHandler: onBrokenRequest,
    frameworkErrors: (error, _, reply) => {
      sendProblem(
        reply,
        error.statusCode ?? 400,
        codeOf(error),
        'The address cannot be read, or a name in it is too long. Nothing was changed.',
      );
    },
    routerOptions: { maxParamLength: PARAM_LIMIT },
    // Requests that are being answered when the process is told to stop are answered; streams end.
    forceCloseConnections: 'idle',
  })
    .setValidatorCompiler(validatorCompiler)
    .setSerializerCompiler(serializerCompiler) as unknown as FastifyInstance;
  const closing = new AbortController();
  app.decorate('closing', closing.signal);
  app.addHook('preClose', (done) => {
    closing.abort();
    done();
  });
  app.setErrorHandler(onError);
  app.setNotFoundHandler((_, reply) => sendProblem(reply, 404, 'not-found', notFound.message));
  await guards(app);
  refuseSlowBodies(app, patience);
  authenticate(app, context);
  measure(app);
  addHealth(app, context);
  if (metrics) addMetrics(app, context);
  setupRoutes(app);
  await queuePages(app, context);
  await app.register(swagger, openApi(context.version));
  await app.register(
    async (scope) => {
      const api = scope as unknown as App;
      refuseForms(api);
      idempotency(api, context);
      for (const routes of ROUTES) routes(api, context);
    },
    { prefix: '/api/v1' },
  );
  app.get('/api/openapi.json', { schema: { hide: true } }, () => app.swagger());
  await app.register(swaggerUi, { routePrefix: '/api/docs', uiConfig: { deepLinking: true } });
  await app.ready();
  return app;
}

/** Builds the server and listens. Port 0 takes a free one. @throws {CannotListen} */
export async function serveApi(
  context: HttpContext,
  { host, port, ...options }: ServerOptions & { host: string; port: number },
): Promise<Listening> {
  const app = await buildServer(context, options);
  const sweep = (starting: boolean) =>
    sweepUploads(context, { starting }).catch((error) =>
      context.log.warn({ error: (error as Error).name }, 'uploads not swept'),
    );
  await sweep(true);
  const listening = await listen(app, { host, port, setting: 'PORT' });
  const timer = setInterval(() => void sweep(false), SWEEP);
  return {
    ...listening,
    async close() {
      clearInterval(timer);
      await listening.close();
    },
  };
}

async function guards(app: FastifyInstance): Promise<void> {
  await app.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'self'"],
        styleSrc: ["'self'", "'unsafe-inline'"],
        imgSrc: ["'self'", 'data:'],
        objectSrc: ["'none'"],
        baseUri: ["'none'"],
        formAction: ["'self'"],
        frameAncestors: ["'none'"],
      },
    },
    strictTransportSecurity: { maxAge: 15_552_000, includeSubDomains: false },
    referrerPolicy: { policy: 'no-referrer' },
  });
  await app.register(cookie);
  await app.register(multipart, {
    limits: { files: 2, fields: 10, fieldSize: 1000, fileSize: Number.MAX_SAFE_INTEGER },
  });
}

/** A form where JSON is asked for would count as no body: an approval of a part would be one of the whole. */
function refuseForms(app: App): void {
  app.addHook('preValidation', async (request) => {
    if (!request.isMultipart() || request.routeOptions.schema?.consumes?.includes('multipart/form-data')) return;
    throw new HttpProblem(415, 'unsupported-media-type', 'The body is to be JSON, not a form. Nothing was changed.');
  });
}

/** Durations by route; log lines without addresses, which hold names. */
function measure(app: FastifyInstance): void {
  app.addHook('onResponse', (request, reply, done) => {
    const { url: route = 'none' } = request.routeOptions;
    const { statusCode: status, elapsedTime: ms } = reply;
    requestSeconds.observe({ method: request.method, route, status }, ms / 1000);
    request.log.debug({ method: request.method, route, status, ms: Math.round(ms) }, 'answered');
    done();
  });
  app.addHook('onSend', async (request, reply) => {
    if (request.principal) reply.header('cache-control', 'no-store');
    // A connection that is kept would keep the process from ending.
    if (request.server.closing.aborted) reply.header('connection', 'close');
  });
}
