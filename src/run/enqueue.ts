import type { RunId } from '../domain/ids.ts';
import type { Queues } from '../queue/queues.ts';
import { runTraces } from '../queue/runTraces.ts';
import { ofRun } from '../store/outbox.ts';
import type { Store } from '../store/store.ts';
import { carried, type Traced } from '../telemetry/tracing.ts';

/** Enqueues everything of the run that waits in the outbox. Losing it loses nothing: the relay finds it again. */
export async function enqueueRun(store: Store, queues: Queues, run: RunId): Promise<void> {
  const entries = await store.outbox
    .find(ofRun(run), { projection: { job: 1 } })
    .sort({ _id: 1 })
    .toArray();
  const trace = (await runTraces(store, [run])).get(run);
  for (let at = 0; at < entries.length; at += 1_000) {
    await queues.add(entries.slice(at, at + 1_000).map(({ _id: { batch }, job }) => ({ run, batch, job, trace })));
  }
}

/** Enqueues the reading of a run. Losing it loses nothing: the sweep finds the run again. */
export async function enqueueImport(queues: Queues, run: Traced): Promise<void> {
  await queues.addImport(run._id, carried(run));
}
