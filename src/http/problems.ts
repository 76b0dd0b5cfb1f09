import type { Socket } from 'node:net';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { hasZodFastifySchemaValidationErrors, isResponseSerializationError } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { framesOf, MusterError, NotFound } from '../domain/errors.ts';
import { seesAll } from './principal.ts';

/** RFC 9457. `type` is `urn:muster:CODE`, with the codes of docs/errors.md. */
export const Problem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.number().int(),
    detail: z.string(),
    errors: z
      .array(
        z.object({
          /** JSON pointer into the body, or */
          pointer: z.string().optional(),
          /** the parameter of the address. */
          parameter: z.string().optional(),
          detail: z.string(),
        }),
      )
      .readonly()
      .optional(),
  })
  .meta({ description: 'A problem document (RFC 9457)' });
export type Problem = z.output<typeof Problem>;

interface ProblemOptions {
  readonly errors?: Problem['errors'];
  readonly headers?: Readonly<Record<string, string>>;
  readonly retry?: boolean;
}

/** Ends a request with a problem document. */
export class HttpProblem extends MusterError {
  readonly code: string;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  override readonly retry: boolean;
  readonly errors: Problem['errors'];
  constructor(
    status: number,
    code: string,
    detail: string,
    { headers = {}, retry = false, errors }: ProblemOptions = {},
  ) {
    super(detail);
    this.errors = errors;
    this.headers = headers;
    this.retry = retry;
    this.status = status;
    this.code = code;
  }
}

/**
 * What is not there, and what a role may not see: the same answer to the last byte (R29). Its text names nothing that was asked for.
 */
export const notFound = new NotFound('There is nothing of that name that you may see.');

/** RFC 6901. */
export function pointerOf(path: readonly PropertyKey[]): string {
  return path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

/** Of refusals that mean the same wherever they come from. */
const STATUS: Readonly<Record<string, number>> = { 'stale-plan': 409, 'changed-meanwhile': 412 };

const TITLES: Readonly<Record<number, string>> = {
  400: 'Bad request',
  401: 'Not logged in',
  403: 'Forbidden',
  404: 'Not found',
  409: 'Conflict',
  410: 'Gone',
  412: 'Changed meanwhile',
  413: 'Too large',
  414: 'Address too long',
  415: 'Unsupported media type',
  422: 'Refused',
  429: 'Too many requests',
  500: 'Internal error',
  502: 'Bad gateway',
  503: 'Not available',
};

export function sendProblem(
  reply: FastifyReply,
  status: number,
  code: string,
  detail: string,
  errors?: Problem['errors'],
): FastifyReply {
  return reply
    .code(status)
    .header('cache-control', 'no-store')
    .type(PROBLEM)
    .serializer(JSON.stringify)
    .send(problemOf(status, code, detail, errors));
}

/** Media type of problem documents. */
export const PROBLEM = 'application/problem+json';

export function problemOf(status: number, code: string, detail: string, errors?: Problem['errors']): Problem {
  return { type: `urn:muster:${code}`, title: TITLES[status] ?? 'Error', status, detail, ...(errors && { errors }) };
}

/** Every error of the API as a problem document. What was not foreseen is logged without the texts of the request. */
export function onError(error: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  request.retry = error instanceof MusterError && error.retry;
  if (error instanceof HttpProblem) {
    if (error.status === 401) reply.header('www-authenticate', 'Bearer');
    return sendProblem(reply.headers(error.headers), error.status, error.code, error.message, error.errors);
  }
  if (error instanceof NotFound) {
    const told = request.principal && seesAll(request.principal.role);
    return sendProblem(reply, 404, 'not-found', told ? error.message : notFound.message);
  }
  if (error instanceof MusterError) {
    const status = STATUS[error.code] ?? request.routeOptions.config.refusal ?? 422;
    return sendProblem(reply, status, error.code, error.message);
  }
  if (hasZodFastifySchemaValidationErrors(error)) {
    const where = error.validationContext ?? 'body';
    const errors = error.validation.map(({ instancePath, message = 'is not allowed' }) =>
      where === 'body'
        ? { pointer: instancePath === '/' ? '' : instancePath, detail: message }
        : { parameter: instancePath.slice(1), detail: message },
    );
    const said = errors
      .map((one) => `${('pointer' in one ? one.pointer : one.parameter) || where}: ${one.detail}`)
      .join('; ');
    return sendProblem(
      reply,
      400,
      'invalid',
      `The request does not have the shape that is asked for. ${said}. Nothing was changed.`,
      errors,
    );
  }
  if (!isResponseSerializationError(error) && error.statusCode !== undefined && error.statusCode < 500) {
    return sendProblem(reply, error.statusCode, codeOf(error), `${error.message}. Nothing was changed.`);
  }
  if (isUnreachable(error)) {
    reply.header('retry-after', '5');
    return sendProblem(
      reply,
      503,
      'store-unreachable',
      'The database cannot be reached just now. Try again in a while, with the same Idempotency-Key where it was a write.',
    );
  }
  request.log.error(
    {
      route: request.routeOptions.url,
      method: request.method,
      error: error.name,
      code: error.code,
      at: framesOf(error),
    },
    'request failed',
  );
  return sendProblem(reply, 500, 'internal', 'This was not foreseen. The log says where it happened.');
}

/** What the parser of HTTP refuses before there is a request. */
export function onBrokenRequest({ code }: Error & { code?: string }, socket: Socket): void {
  if (code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, reason] =
    code === 'HPE_HEADER_OVERFLOW'
      ? [431, 'Request Header Fields Too Large']
      : code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? [408, 'Request Timeout']
        : [400, 'Bad Request'];
  const body = JSON.stringify({
    type: 'urn:muster:bad-request',
    title: reason,
    status,
    detail: 'The request cannot be read. Nothing was changed.',
  } satisfies Problem);
  const head = [
    `HTTP/1.1 ${status} ${reason}`,
    'content-type: application/problem+json',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}

/** Those that docs/errors.md names; others have the name that fastify gives them. */
const CODES: ReadonlyMap<string | undefined, string> = new Map([
  ['FST_ERR_CTP_BODY_TOO_LARGE', 'too-large'],
  ['FST_ERR_CTP_INVALID_MEDIA_TYPE', 'unsupported-media-type'],
]);

/** `FST_ERR_CTP_INVALID_CONTENT_LENGTH` → `ctp-invalid-content-length`. */
export function codeOf({ code }: { readonly code?: string }): string {
  const named = CODES.get(code);
  if (named !== undefined) return named;
  return (code ?? 'bad-request')
    .toLowerCase()
    .replace(/^fst_(err_)?/, '')
    .replaceAll('_', '-');
}

function isUnreachable(error: Error): boolean {
  return /^Mongo(ServerSelection|Network|NotConnected|PoolCleared|TopologyClosed|Expired)/.test(error.name);
}
