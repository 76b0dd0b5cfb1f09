import type { ServerResponse } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { RunId } from '../domain/ids.ts';
import { isAtRest } from '../domain/run.ts';
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
  try {
    await tell(store, run, raw, gone.signal);
  } finally {
    raw.end();
  }
}

async function tell(store: Store, run: RunId, raw: ServerResponse, gone: AbortSignal): Promise<void> {
  let last = '';
  let written = performance.now();
  while (!gone.aborted) {
    // Where the database cannot be reached just now, the next look tells.
    const found = await progressOf(store, run).catch(() => undefined);
    if (found === null) return;
    if (found) {
      const data = JSON.stringify(found.progress);
      if (data !== last || found.over) {
        raw.write(`event: ${found.over ? 'end' : 'progress'}\ndata: ${data}\n\n`);
        written = performance.now();
      }
      if (found.over) return;
      last = data;
    }
    if (performance.now() - written > KEEP_ALIVE) {
      raw.write(': still here\n\n');
      written = performance.now();
    }
    await pause(LOOK, gone);
  }
}

/** Null: there is no such run any more. `over`: it does nothing by itself any more. */
async function progressOf(store: Store, run: RunId): Promise<{ progress: Progress; over: boolean } | null> {
  const found = await readRun(store, run);
  if (!found) return null;
  const { state, preview, batches = 0 } = found;
  const left = await store.outbox.countDocuments(ofRun(run));
  return { progress: { run, state, batches, left }, over: isAtRest(state, preview) };
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
