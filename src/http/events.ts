import type { FastifyReply, FastifyRequest } from 'fastify';
import type { RunId } from '../domain/ids.ts';
import { isWorking } from '../domain/run.ts';
import type { RunDoc } from '../store/models.ts';
import { ofRun } from '../store/outbox.ts';
import { readRun } from '../store/runs.ts';
import type { Store } from '../store/store.ts';

/** How often a run is looked at while somebody listens, ms. */
const LOOK = 250;
/** A comment keeps proxies from closing a stream on which nothing happens, ms. */
const KEEP_ALIVE = 15_000;

/** How far a run has come. */
interface Progress {
  readonly run: string;
  readonly state: RunDoc['state'];
  readonly batches: number;
  readonly left: number;
}

/**
 * Server-sent events: `progress` whenever state or batches change, `end` when the run does nothing by itself any
 * more (also when it is held). Ends with the run, with the client, or with the server.
 */
export async function streamRun(store: Store, request: FastifyRequest, reply: FastifyReply, run: RunId): Promise<void> {
  reply.hijack();
  const { raw } = reply;
  for (const [name, value] of Object.entries(reply.getHeaders())) if (value !== undefined) raw.setHeader(name, value);
  raw.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    connection: 'close',
    'x-accel-buffering': 'no',
  });
  const gone = new AbortController();
  request.raw.once('close', () => gone.abort());
  raw.once('close', () => gone.abort());
  request.server.closing.addEventListener('abort', () => gone.abort(), { once: true, signal: gone.signal });
  let last = '';
  let written = performance.now();
  while (!gone.signal.aborted) {
    const found = await readRun(store, run).catch(() => undefined);
    if (found === null) break;
    if (found) {
      const progress = await progressOf(store, found);
      const data = JSON.stringify(progress);
      const over = !isWorking(found.state) || (found.preview && found.state === 'planned');
      if (data !== last || over) {
        raw.write(`event: ${over ? 'end' : 'progress'}\ndata: ${data}\n\n`);
        written = performance.now();
      }
      if (over) break;
      last = data;
    }
    if (performance.now() - written > KEEP_ALIVE) {
      raw.write(': still here\n\n');
      written = performance.now();
    }
    await pause(LOOK, gone.signal);
  }
  raw.end();
}

async function progressOf(store: Store, { _id, state, batches = 0 }: RunDoc): Promise<Progress> {
  return { run: _id, state, batches, left: await store.outbox.countDocuments(ofRun(_id)) };
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}
