import type { Queues } from '../queue/queues.ts';
import { newRunId } from '../store/counters.ts';
import type { BatchDoc, RunDoc } from '../store/models.ts';
import { ofRun } from '../store/outbox.ts';
import type { Services } from '../store/services.ts';
import { chunks } from './chunks.ts';
import { enqueueRun } from './enqueue.ts';
import { blankRun, drainRun } from './manual.ts';
import { BATCH_SIZE } from './planWriter.ts';
import { waiting } from './start.ts';

/**
 * Opens and closes the windows whose time has come (R5), as a run of its own, by the jobs that settle everything else,
 * and gives the number of learners concerned. Without queues, or while Redis is away or does not answer, it is done here. Level-triggered: windows missed while nothing ran are found by the next call, and of
 * several calls at once one makes the run. While an earlier one is still being settled, nothing is added to it.
 */
export async function settleDueWindows(services: Services, queues?: Queues): Promise<number> {
  const { store } = services;
  const jobs = queues?.redis.status === 'ready' && !queues.doubtful ? queues : undefined;
  const due = await dueNow(services);
  if ((await store.subscriptions.findOne(due, { projection: { _id: 1 } })) === null) return 0;
  // Read before it is looked whether a run is unfinished: one that begins after that has another turn.
  const turn = await readTurn(store);
  const unfinished = await store.runs.findOne({ kind: 'window', state: { $in: ['applying', 'reconciling'] } });
  if (unfinished && jobs) return 0;
  if (unfinished) await drainRun(services, unfinished._id);
  const made = await makeRun(services, due, turn);
  if (made && jobs) await enqueueRun(store, jobs, made.run).catch(() => drainRun(services, made.run));
  else if (made) await drainRun(services, made.run);
  return made?.learners ?? 0;
}

/** Learners with a window that has opened or closed. Those who could not be settled wait for their retry (R27). */
async function dueNow({ store, clock }: Services) {
  const setAside = await store.setAside.distinct('learner', { job: { $ne: 'apply' } });
  return { due: { $lte: clock.now() }, ...(setAside.length > 0 && { _id: { $nin: setAside } }) };
}

/** Undefined where another made one since `turn` was read. */
async function makeRun(services: Services, due: Awaited<ReturnType<typeof dueNow>>, turn: number) {
  const { store, clock } = services;
  const now = clock.now();
  const learners = await store.subscriptions
    .find(due, { projection: { _id: 1 } })
    .sort({ due: 1 })
    .toArray();
  if (learners.length === 0) return undefined;
  const run: RunDoc = { ...blankRun(await newRunId(store), 'window', 'windows', 'windows', now), attempt: 1 };
  const purges = await store.feeds.findOne({ leaverCourses: 'purge' }, { projection: { _id: 1 } });
  const settle = purges ? 'purge' : 'expire';
  const batches: BatchDoc[] = [...chunks(learners, BATCH_SIZE)].map((some, at) => ({
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
  if (isMine) return { run: run._id, learners: learners.length };
  await store.batches.deleteMany(ofRun(run._id));
  return undefined;
}

/** Counts the runs that were made: who read another count has been overtaken. */
const TURN = 'windows';

async function readTurn({ meta }: Services['store']): Promise<number> {
  await meta.updateOne({ _id: TURN }, { $setOnInsert: { next: 0 } }, { upsert: true });
  return (await meta.findOne({ _id: TURN }))?.next ?? 0;
}
