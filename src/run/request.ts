import { hostname } from 'node:os';
import type { SourceName } from '../domain/ids.ts';
import { newRunId } from '../store/counters.ts';
import type { RunDoc } from '../store/models.ts';
import type { Services } from '../store/services.ts';

export interface RunRequest {
  readonly feed: SourceName;
  readonly mode: 'full' | 'delta';
  readonly preview: boolean;
  /** Let the plan pass the guard. */
  readonly approve: boolean;
  readonly by: string;
  /** The feed's text for this run alone. */
  readonly settings?: string;
  /** The due time of the schedule; each is one run's alone (R26). */
  readonly due?: Date;
  /** The file; without one, the feed's own source. `shared`: every worker finds it under that path, not this host alone. */
  readonly source?: {
    readonly shared?: boolean;
    readonly name: string;
    readonly path: string;
    readonly bytes: number;
    readonly temporary?: boolean;
  };
}

/** A run of a feed, queued (R22). Fails with a duplicate key where the due time has its run already. */
export async function requestRun({ store, clock }: Services, request: RunRequest): Promise<RunDoc> {
  const now = clock.now();
  const { feed, mode, preview, approve, by, due, settings } = request;
  const run: RunDoc = {
    _id: await newRunId(store),
    kind: 'feed',
    feed,
    state: 'queued',
    history: [{ state: 'queued', at: now, by }],
    preview,
    approve,
    mode,
    source: sourceOf(request),
    attempt: 0,
    by,
    ...(due && { due }),
    ...(settings !== undefined && { settings }),
    createdAt: now,
    startedAt: null,
    finishedAt: null,
    stages: [],
  };
  await store.runs.insertOne(run);
  return run;
}

function sourceOf({ feed, source }: RunRequest): RunDoc['source'] {
  if (!source) return { name: feed, bytes: 0, sha256: '' };
  const { shared, ...file } = source;
  return { ...file, sha256: '', ...(!shared && { host: hostname() }) };
}
