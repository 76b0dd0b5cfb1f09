import type { RunId } from '../domain/ids.ts';
import type { Store } from '../store/store.ts';
import { carried, isTracing } from '../telemetry/tracing.ts';

/** The trace of each of these runs, for its jobs to carry; empty where nothing is traced. */
export async function runTraces(store: Store, ids: Iterable<RunId>): Promise<ReadonlyMap<RunId, string | undefined>> {
  if (!isTracing()) return new Map();
  const filter = { _id: { $in: [...new Set(ids)] } };
  const runs = await store.runs.find(filter, { projection: { createdAt: 1 } }).toArray();
  return new Map(runs.map((run) => [run._id, carried(run)]));
}
