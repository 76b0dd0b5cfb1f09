import { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { onBrokenRequest } from './problems.ts';

/** How long a body may take, ms; of a file, which may be of any size: how long nothing of it may come. */
export const PATIENCE = 60_000;

/** Whoever sends letter by letter holds a connection, and what waits behind it, for that long and no longer. */
export function refuseSlowBodies(app: FastifyInstance, patience: number): void {
  app.addHook('onRequest', (request, _, done) => {
    const { raw, headers } = request;
    const { socket } = raw;
    done();
    const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
    if (!hasBody || raw.complete || !(socket instanceof Socket)) return;
    if (headers['content-type']?.startsWith('multipart/')) {
      // The socket ends by itself then, as one that its client has closed.
      socket.setTimeout(patience);
      raw.once('end', () => socket.setTimeout(0));
      return;
    }
    const late = () => onBrokenRequest(Object.assign(new Error('late'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' }), socket);
    const timer = setTimeout(late, patience);
    raw.once('close', () => clearTimeout(timer)).once('end', () => clearTimeout(timer));
  });
}
