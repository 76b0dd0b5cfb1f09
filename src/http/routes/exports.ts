import { Readable } from 'node:stream';
import { z } from 'zod';
import { audit, auditWithoutAccess, exported, groups, learners, subscriptions } from '../../run/views/exportTables.ts';
import type { App } from '../app.ts';
import type { HttpContext } from '../context.ts';
import { may, OPERATORS, seesUsers } from '../principal.ts';
import { PROBLEMS } from '../shapes/common.ts';

const TYPES = { ndjson: 'application/x-ndjson', csv: 'text/csv' } as const;
const text = { schema: z.string() };

export function exportRoutes(app: App, context: HttpContext): void {
  app.get(
    '/exports/:kind',
    {
      exposeHeadRoute: false,
      config: may('read', 'exports', OPERATORS),
      schema: {
        tags: ['exports'],
        summary: 'Everything of a kind in a stable order, one item a line, as a stream',
        params: z.object({ kind: z.enum(['learners', 'groups', 'subscriptions', 'audit']) }),
        querystring: z.strictObject({ format: z.enum(['ndjson', 'csv']).default('ndjson') }),
        response: {
          200: { description: 'The export', content: { [TYPES.ndjson]: text, [TYPES.csv]: text } },
          ...PROBLEMS,
        },
      },
    },
    async ({ params: { kind }, query: { format }, principal }, reply) => {
      const lines = {
        learners: () => exported(learners, format, context),
        groups: () => exported(groups, format, context),
        subscriptions: () => exported(subscriptions, format, context),
        audit: () => exported(seesUsers(principal) ? audit : auditWithoutAccess, format, context),
      }[kind]();
      reply.type(TYPES[format]).header('content-disposition', `attachment; filename="${kind}.${format}"`);
      return reply.send(Readable.from(inChunks(lines)) as never);
    },
  );
}

/** Letters of a chunk: lines one by one would cost more than they weigh. */
const CHUNK = 64 * 1024;

async function* inChunks(lines: AsyncIterable<string>): AsyncGenerator<string> {
  let chunk = '';
  for await (const line of lines) {
    chunk += line;
    if (chunk.length < CHUNK) continue;
    yield chunk;
    chunk = '';
  }
  if (chunk !== '') yield chunk;
}
