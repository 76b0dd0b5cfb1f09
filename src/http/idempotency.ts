import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { isDuplicateKey } from '../store/failures.ts';
import type { IdempotencyDoc } from '../store/models.ts';
import type { App } from './app.ts';
import { isWrite } from './authenticate.ts';
import type { HttpContext } from './context.ts';
import { HttpProblem, PROBLEM, problemOf } from './problems.ts';

/** For how long an answer is given again, ms. */
const KEPT = 24 * 3_600_000;
/** A first call that has not answered for this long, ms, has died. */
const ALIVE = 10 * 60_000;

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The answer holds a secret that is stored as a hash alone. */
    shownOnce?: true;
  }
  interface FastifyRequest {
    /** Set while a write with an Idempotency-Key is worked at: where its answer goes. */
    idempotency: IdempotencyDoc['_id'] | null;
    /** Its answer says that nothing was done, and to ask again. */
    retry: boolean;
  }
}

/**
 * Writes that bear an Idempotency-Key are done once: the same key gives the first answer again for a day, another
 * request under the same key is refused, and so is the same one while the first is still being worked at. An answer
 * that says that it was our fault (5xx), or to ask again, is not kept.
 */
export function idempotency(app: App, context: HttpContext): void {
  app.decorateRequest('idempotency', null);
  app.decorateRequest('retry', false);
  app.addHook('preHandler', async (request, reply) => {
    const key = request.headers['idempotency-key'];
    if (key === undefined || !request.principal || !isWrite(request)) return undefined;
    if (typeof key !== 'string' || key.length === 0 || key.length > 255) {
      throw new HttpProblem(400, 'idempotency-key', 'An Idempotency-Key has 1 to 255 letters. Nothing was changed.');
    }
    const known = await reserve(context, { who: request.principal.by, key }, digestOf(request));
    if (!known) {
      request.idempotency = { who: request.principal.by, key };
      return undefined;
    }
    const { status, body, type } = known;
    return reply
      .code(status)
      .header('idempotency-replayed', 'true')
      .header('content-type', type)
      .serializer((text: unknown) => text as string)
      .send(body);
  });
  app.addHook('onSend', async (request, reply, payload) => {
    const { idempotency, retry } = request;
    const kept = request.routeOptions.config.shownOnce ? withoutSecret : asSent;
    if (idempotency) await keep(context, idempotency, retry ? undefined : kept(reply, payload));
    return payload;
  });
}

/** The answer that the key has already; undefined = it is ours to work at. */
async function reserve(
  { store, clock }: HttpContext,
  _id: IdempotencyDoc['_id'],
  request: string,
): Promise<IdempotencyDoc['answer']> {
  const now = clock.now();
  const doc: IdempotencyDoc = {
    _id,
    request,
    until: new Date(now.getTime() + ALIVE),
    expiresAt: new Date(now.getTime() + KEPT),
  };
  try {
    await store.idempotency.insertOne(doc);
    return undefined;
  } catch (error) {
    if (!isDuplicateKey(error)) throw error;
  }
  const found = await store.idempotency.findOne({ _id });
  if (found && found.request !== request) {
    throw new HttpProblem(
      422,
      'idempotency-key-reused',
      'This Idempotency-Key was used for another request. Nothing was changed. Use a new one.',
    );
  }
  if (found?.answer) return found.answer;
  const died = { _id, answer: { $exists: false }, until: { $lte: now } };
  const { modifiedCount } = await store.idempotency.updateOne(died, { $set: { until: doc.until } });
  if (modifiedCount === 1) return undefined;
  throw new HttpProblem(
    409,
    'still-working',
    'The first request with this Idempotency-Key is still being worked at. Ask again in a while.',
  );
}

/** What is kept of an answer. */
interface Kept {
  readonly status: number;
  readonly body: unknown;
  readonly type: string;
}

function asSent(reply: FastifyReply, body: unknown): Kept {
  return { status: reply.statusCode, body, type: String(reply.getHeader('content-type') ?? 'application/json') };
}

/** Of an answer with a secret, that it was given: it is stored as a hash, here as well. */
function withoutSecret(reply: FastifyReply, body: unknown): Kept {
  if (reply.statusCode >= 300) return asSent(reply, body);
  const problem = problemOf(
    409,
    'shown-once',
    'It was done by the first request with this Idempotency-Key, and what it answered is shown once. Make another where it did not arrive.',
  );
  return { status: problem.status, body: JSON.stringify(problem), type: PROBLEM };
}

function isText(body: unknown): body is string | null | undefined {
  return typeof body === 'string' || body === undefined || body === null;
}

async function keep({ store, log }: HttpContext, _id: IdempotencyDoc['_id'], answer: Kept | undefined): Promise<void> {
  try {
    if (!answer || answer.status >= 500 || !isText(answer.body)) await store.idempotency.deleteOne({ _id });
    else await store.idempotency.updateOne({ _id }, { $set: { answer: { ...answer, body: answer.body ?? '' } } });
  } catch (error) {
    log.warn({ error: (error as Error).name }, 'answer not kept');
  }
}

/**
 * A file's bytes are not part of it: they have not been read yet, and may be many. The role is: an answer that was given to an
 * administrator is not for the instructor that he is by now.
 */
function digestOf({ method, url, body, headers, principal }: FastifyRequest): string {
  const asked = body === undefined ? (headers['content-length'] ?? '') : JSON.stringify(body);
  return createHash('sha256').update(`${principal.role} ${method} ${url}\n${asked}`).digest('hex');
}
