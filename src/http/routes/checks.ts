import { Readable } from 'node:stream';
import { z } from 'zod';
import { digest } from '../../run/digest.ts';
import { verify } from '../../run/verify.ts';
import { viewVerification } from '../../run/views/verificationView.ts';
import type { App } from '../app.ts';
import type { HttpContext } from '../context.ts';
import { ADMINISTRATORS, may } from '../principal.ts';
import { HttpProblem } from '../problems.ts';
import { list, PROBLEMS, stream } from '../shapes/common.ts';

const tags = ['checks'];
const TYPE = 'application/x-ndjson';
/** How often a check that takes long says how far it is, ms: no proxy takes it for dead. */
const BEAT = 5_000;
/** Differences that an answer lists; it counts them all. */
const LISTED = 1_000;

/** `digest`, `verify` and `doctor`. Those that read everything are done one at a time in a process. */
export function checkRoutes(app: App, context: HttpContext): void {
  let busy = false;
  const alone = async <T>(work: () => Promise<T>): Promise<T> => {
    if (busy)
      throw new HttpProblem(409, 'check-running', 'Another check reads everything just now. Ask again in a while.', {
        retry: true,
      });
    busy = true;
    return work().finally(() => {
      busy = false;
    });
  };

  app.get(
    '/checks/digest',
    {
      config: may('read', 'checks', ADMINISTRATORS),
      schema: {
        tags,
        summary: 'One SHA-256 over all facts: equal facts, equal digest',
        response: { 200: z.object({ digest: z.string() }), ...PROBLEMS },
      },
    },
    () => alone(async () => ({ digest: await digest(context.store) })),
  );

  app.post(
    '/checks/verify',
    {
      config: may('write', 'checks', ADMINISTRATORS),
      schema: {
        tags,
        summary: 'Compares what is stored with what the rules derive from it; `repair` brings it in line',
        description: `Lines of JSON: \`{ "checked": N }\` while it goes on, then \`{ "result": { learners, differences, drift, repaired, audit } }\` with ${LISTED} differences at most, or \`{ "error": … }\`.`,
        querystring: z.strictObject({ repair: z.enum(['true', 'false']).default('false') }),
        response: { 200: stream(TYPE, 'How far it is, then what was found'), ...PROBLEMS },
      },
    },
    async ({ query }, reply) => {
      let checked = 0;
      const work = alone(async () => {
        const found = await verify(context, {
          repair: query.repair === 'true',
          progress: (count) => (checked = count),
        });
        const { drift, ...rest } = await viewVerification(context, { ...found, drift: found.drift.slice(0, LISTED) });
        return { result: { ...rest, differences: found.drift.length, drift } };
      });
      // What refuses at once is a problem document, not a line.
      await Promise.race([work, new Promise(setImmediate)]);
      const lines = beats(work, () => ({ checked }));
      return reply.type(TYPE).send(Readable.from(lines) as never);
    },
  );

  app.get(
    '/checks/doctor',
    {
      config: may('read', 'checks', ADMINISTRATORS),
      schema: {
        tags,
        summary: 'What is reachable, and what to do where something is wrong',
        response: { 200: Examination, ...PROBLEMS },
      },
    },
    () => context.examine(),
  );
}

const Examination = z.object({
  ok: z.boolean(),
  findings: list(z.object({ name: z.string(), ok: z.boolean(), found: z.string(), remedy: z.string().optional() })),
});

async function* beats(work: Promise<object>, progress: () => object): AsyncGenerator<string> {
  const done = work.catch((error: unknown) => ({ error: (error as Error).name }));
  for (;;) {
    let timer: NodeJS.Timeout | undefined;
    const beat = new Promise<undefined>((resolve) => {
      timer = setTimeout(resolve, BEAT, undefined);
    });
    const end = await Promise.race([done, beat]);
    clearTimeout(timer);
    yield `${JSON.stringify(end ?? progress())}\n`;
    if (end) return;
  }
}
