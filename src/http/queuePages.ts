import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { FastifyAdapter } from '@bull-board/fastify';
import type { FastifyInstance } from 'fastify';
import { JOBS } from '../queue/job.ts';
import { isWrite } from './authenticate.ts';
import type { HttpContext } from './context.ts';
import { ADMINISTRATORS, may } from './principal.ts';
import { HttpProblem, onError } from './problems.ts';

const PREFIX = '/admin/queues';

/**
 * BullMQ's queues as bull-board shows them, for administrators and for reading alone: what waits stands in the database,
 * so a job that is taken out of Redis would come back, and a retry is `muster queue retry`.
 */
export async function queuePages(app: FastifyInstance, { queues }: HttpContext): Promise<void> {
  const serverAdapter = new FastifyAdapter();
  serverAdapter.setBasePath(PREFIX);
  createBullBoard({
    queues: JOBS.map((job) => new BullMQAdapter(queues.queue(job), { readOnlyMode: true })),
    serverAdapter,
    options: { uiConfig: { boardTitle: 'Muster', hideRedisDetails: true } },
  });
  await app.register(
    async (scope) => {
      scope.addHook('onRoute', (route) => {
        route.config = { ...route.config, ...may('read', 'queue', ADMINISTRATORS) };
        // The board's own would answer a refusal with 500 and a stack.
        route.errorHandler = (error, request, reply) => void onError(error, request, reply);
      });
      // The board's page names its own address as base.
      scope.addHook('onSend', async (_, reply) => {
        const policy = String(reply.getHeader('content-security-policy'));
        reply.header('content-security-policy', policy.replace("base-uri 'none'", "base-uri 'self'"));
      });
      scope.addHook('preHandler', async (request) => {
        if (!isWrite(request)) return;
        const way = 'muster queue retry, or POST /api/v1/queue/retry';
        throw new HttpProblem(405, 'read-only', `The pages of the queues are for reading. Use ${way}.`);
      });
      await scope.register(serverAdapter.registerPlugin());
    },
    { prefix: PREFIX },
  );
}
