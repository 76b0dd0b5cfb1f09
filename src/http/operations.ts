import fastify, { type FastifyInstance, LogController } from 'fastify';
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
  const url = await app.listen({ host, port });
  return { url, close: () => app.close() };
}
