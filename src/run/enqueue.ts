import type { RunId } from '../domain/ids.ts';
import type { Queues } from '../queue/queues.ts';
import { ofRun } from '../store/outbox.ts';
import type { Store } from '../store/store.ts';

/** Enqueues everything of the run that waits in the outbox. Losing it loses nothing: the relay finds it again. */
export async function enqueueRun(store: Store, queues: Queues, run: RunId): Promise<void> {
  const entries = await store.outbox
    .find(ofRun(run), { projection: { job: 1 } })
    .sort({ _id: 1 })
    .toArray();
  for (let at = 0; at < entries.length; at += 1_000) {
    await queues.add(entries.slice(at, at + 1_000).map(({ _id, job }) => ({ run: _id.run, batch: _id.batch, job })));
  }
}
