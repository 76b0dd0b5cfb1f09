import { hostname } from 'node:os';
import type { Queues } from '../queue/queues.ts';
import { relay } from '../queue/relay.ts';
import { sealAudit } from '../store/auditChain.ts';
import { auditFailedLogIns } from '../store/failedLogIns.ts';
import { isTransient } from '../store/failures.ts';
import type { RunDoc } from '../store/models.ts';
import type { Services } from '../store/services.ts';
import { beginRetry } from '../store/setAside.ts';
import { advanceRun } from './advance.ts';
import { abandonedRuns } from './drive.ts';
import { enqueueImport } from './enqueue.ts';
import { isLeftBehind, takeBackKept } from './keepBeforehand.ts';
import { retrySetAside } from './retryQueue.ts';
import { spreadStructure } from './structureChange.ts';
import { tellRuns } from './tell.ts';
import { endAbandonedUndos } from './undo.ts';
import { settleDueWindows } from './windows.ts';

/** Set-aside operations retried a round. */
const RETRIES = 20;

/**
 * One round of what a worker does besides its jobs: whatever was left behind by a killed process, lost with Redis, or
 * has become due is found in the database and taken up. Any number of workers may do this at once. What fails, as all
 * that needs Redis does while it is away, does not keep the rest from being done; without the database there is no
 * rest. Throws the first error.
 */
export async function sweep(services: Services, queues: Queues): Promise<void> {
  const rounds = [
    () => relay(services, queues),
    () => takeUpRuns(services, queues),
    () => settleDueWindows(services, queues),
    () => endAbandonedUndos(services),
    () => retryDue(services),
    () => tellRuns(services),
    () => auditFailedLogIns(services),
    () => seal(services),
  ];
  const errors: unknown[] = [];
  for (const round of rounds) {
    await round().catch((error: unknown) => {
      if (isTransient(error)) throw error;
      errors.push(error);
    });
  }
  if (errors.length > 0) throw errors[0];
}

async function takeUpRuns(services: Services, queues: Queues): Promise<void> {
  const { store } = services;
  for (const run of await store.runs.find({ state: { $in: ['applying', 'reconciling'] } }).toArray()) {
    if (run.spread) await spreadStructure(services, run);
    if (isLeftBehind(run, services.clock.now())) await takeBackKept(services, run._id);
    await advanceRun(services, run._id);
  }
  const waiting = await store.runs.find({ state: 'queued', kind: 'feed' }).sort({ createdAt: 1 }).toArray();
  for (const run of [...(await abandonedRuns(services)), ...waiting]) {
    const isHere = run.source.host === undefined || run.source.host === hostname();
    if (isHere && !(await isBlocked(services, run))) await enqueueImport(queues, run);
  }
}

/** Another run of the feed is at work (R23). */
async function isBlocked({ store }: Services, { _id, feed, preview }: RunDoc): Promise<boolean> {
  return !preview && (await store.runs.findOne({ feed, working: true, _id: { $ne: _id } })) !== null;
}

/** Operations set aside whose time has come (R27). While a run of their feed is at work they wait: it may say otherwise. */
async function retryDue(services: Services): Promise<void> {
  const { store, clock } = services;
  const busy = await store.runs.distinct('feed', { working: true });
  const due = await store.setAside
    .find({ retryAt: { $lte: clock.now() }, feed: { $nin: busy } })
    .limit(RETRIES)
    .toArray();
  for (const doc of due) if (await beginRetry(services, doc, Math.random())) await retrySetAside(services, doc);
}

/** Sealing waits while batches are at work, but no longer than this, ms. */
const SEAL_AFTER = 600_000;

async function seal({ store, clock }: Services): Promise<void> {
  const busy = await store.outbox.findOne({}, { projection: { _id: 1 } });
  const oldest =
    busy && (await store.audit.findOne({ seq: null } as never, { sort: { at: 1 }, projection: { at: 1 } }));
  if (busy && (!oldest || clock.now().getTime() < oldest.at.getTime() + SEAL_AFTER)) return;
  await sealAudit(store);
}
