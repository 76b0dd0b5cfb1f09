import fastify, { type FastifyInstance, LogController } from 'fastify';
import { MusterError } from '../domain/errors.ts';
import { exposition, registry } from '../telemetry/metrics.ts';
import type { HttpContext } from './context.ts';
import { figuresOf } from './figures.ts';
import { LOOK, ReadinessCheck } from './readiness.ts';

/** `/healthz` (alive) and `/readyz` (can work); nothing in them is about persons or runs. */
export function addHealth(app: FastifyInstance, context: HttpContext): void {
  const readiness = new ReadinessCheck(context);
  const hidden = { schema: { hide: true } } as const;
  const timer = setInterval(() => void readiness.stuckRuns().catch(() => undefined), LOOK);
  timer.unref();
  app.addHook('onClose', (_, done) => {
    clearInterval(timer);
    done();
  });
  app.get('/healthz', hidden, (_, reply) => reply.header('cache-control', 'no-store').send({ status: 'alive' }));
  app.get('/readyz', hidden, async (_, reply) => {
    const found = await readiness.check();
    return reply
      .code(found.ready ? 200 : 503)
      .header('cache-control', 'no-store')
      .send(found);
  });
}

/** `/metrics` in Prometheus' text format. Where the database cannot be reached: what this process knows by itself. */
export function addMetrics(app: FastifyInstance, context: HttpContext): void {
  const figures = figuresOf(context);
  app.get(
    '/metrics',
    {
      schema: { hide: true },
      config: { access: { use: 'read', noun: 'metrics', roles: ['administrator', 'operator'] } },
    },
    async (_, reply) => {
      const text = await figures().then(exposition, () => registry.metrics());
      return reply.header('content-type', registry.contentType).send(text);
    },
  );
}

export interface Listening {
  /** Where it listens, e.g. `http://127.0.0.1:9464`. */
  readonly url: string;
  close(): Promise<void>;
}

/**
 * Serves health and metrics alone, without log-in: for METRICS_PORT, which is not to be published. A worker has nothing
 * else that listens. Port 0 takes a free one.
 */
export async function serveMetrics(
  context: HttpContext,
  { host, port }: { host: string; port: number },
): Promise<Listening> {
  const app = fastify({
    loggerInstance: context.log,
    logController: new LogController({ disableRequestLogging: true }),
  });
  addHealth(app as unknown as FastifyInstance, context);
  addMetrics(app as unknown as FastifyInstance, context);
  return listen(app as unknown as FastifyInstance, { host, port, setting: 'METRICS_PORT' });
}

/** Another process listens there, or the address is none of this machine's. */
export class CannotListen extends MusterError {
  readonly code = 'cannot-listen';
  override readonly exit = 2;
}

/** Listens, or is closed again and says which setting to change. @throws {CannotListen} */
export async function listen(
  app: FastifyInstance,
  { host, port, setting }: { host: string; port: number; setting: 'PORT' | 'METRICS_PORT' },
): Promise<Listening> {
  try {
    return { url: await app.listen({ host, port }), close: () => app.close() };
  } catch (error) {
    await app.close();
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE') {
      throw new CannotListen(
        `Something listens on ${host}:${port} already, perhaps another Muster, so this one does not start. Stop that, or set ${setting} to a free port.`,
      );
    }
    throw new CannotListen(
      `It is not possible to listen on ${host}:${port} (${code ?? message}), so Muster does not start. Change HOST or ${setting}.`,
    );
  }
}
