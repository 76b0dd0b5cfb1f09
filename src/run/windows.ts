import { newRunId } from '../store/counters.ts';
import type { BatchDoc, RunDoc } from '../store/models.ts';
import { ofRun } from '../store/outbox.ts';
import type { Services } from '../store/services.ts';
import { chunks } from './chunks.ts';
import { blankRun, drainRun } from './manual.ts';
import { BATCH_SIZE } from './planWriter.ts';
import { waiting } from './start.ts';

export interface Sweep {
  /** Leave the settling to the workers; the relay enqueues it. Otherwise it is done here, before this returns. */
  readonly leave?: boolean;
}

/**
 * Opens and closes the windows whose time has come (R5), as a run of its own, and gives the number of learners
 * concerned. Level-triggered: windows missed while nothing ran are found by the next sweep, and of several sweeps at
 * once one makes the run. While an earlier sweep is still being settled, nothing is added to it.
 */
export async function settleDueWindows(services: Services, { leave = false }: Sweep = {}): Promise<number> {
  const { store, clock } = services;
  const now = clock.now();
  if ((await store.subscriptions.findOne({ due: { $lte: now } }, { projection: { _id: 1 } })) === null) return 0;
  // Read before it is looked whether a sweep is unfinished: one that begins after that has another turn.
  const turn = await readTurn(store);
  const unfinished = await store.runs.findOne({ kind: 'window', state: { $in: ['applying', 'reconciling'] } });
  if (unfinished && leave) return 0;
  if (unfinished) await drainRun(services, unfinished._id);
  const due = await store.subscriptions
    .find({ due: { $lte: now } }, { projection: { _id: 1 } })
    .sort({ due: 1 })
    .toArray();
  if (due.length === 0) return 0;
  const run: RunDoc = { ...blankRun(await newRunId(store), 'window', 'windows', 'windows', now), attempt: 1 };
  const settle = (await store.feeds.findOne({ leaverCourses: 'purge' }, { projection: { _id: 1 } }))
    ? 'purge'
    : 'expire';
  const batches: BatchDoc[] = [...chunks(due, BATCH_SIZE)].map((some, at) => ({
    _id: { run: run._id, batch: 1_000_001 + at },
    settle,
    creates: false,
    changes: [],
    learners: some.map(({ _id }) => _id),
  }));
  for (const some of chunks(batches, 50)) await store.batches.insertMany(some);
  const isMine = await store.transaction(async (session) => {
    const taken = await store.meta.updateOne({ _id: TURN, next: turn }, { $inc: { next: 1 } }, { session });
    if (taken.modifiedCount === 0) return false;
    await store.runs.insertOne({ ...run, batches: batches.length }, { session });
    await store.outbox.insertMany(
      batches.map(({ _id }) => waiting(_id, settle, now)),
      { session },
    );
    return true;
  });
  if (!isMine) {
    await store.batches.deleteMany(ofRun(run._id));
    return 0;
  }
  if (!leave) await drainRun(services, run._id);
  return due.length;
}

/** Counts the sweeps that made a run: one that read another count has been overtaken. */
const TURN = 'windows';

async function readTurn({ meta }: Services['store']): Promise<number> {
  await meta.updateOne({ _id: TURN }, { $setOnInsert: { next: 0 } }, { upsert: true });
  return (await meta.findOne({ _id: TURN }))?.next ?? 0;
}
