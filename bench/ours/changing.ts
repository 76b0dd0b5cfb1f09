import type { Change } from '../../src/domain/change.ts';
import type { RunId } from '../../src/domain/ids.ts';
import { chunks } from '../../src/run/chunks.ts';
import { blankRun, drainRun } from '../../src/run/manual.ts';
import { BATCH_SIZE } from '../../src/run/planWriter.ts';
import { waiting } from '../../src/run/start.ts';
import { newRunId } from '../../src/store/counters.ts';
import type { BatchDoc } from '../../src/store/models.ts';
import type { Cast } from '../cast.ts';
import { peakMemory } from '../measure.ts';
import type { Answer } from '../tasks.ts';

/**
 * Applies a plan that changes one attribute of each of so many learners: learners, audit entries and outbox in the
 * transactions of the batches. The plan is written before and not counted.
 */
export async function changing(
  cast: Cast,
  { database, learners }: { database: string; learners: number },
): Promise<Answer> {
  const { context } = await cast.muster(database);
  const { store } = context;
  const run: RunId = await newRunId(store);
  const docs = await store.learners
    .find({ _id: { $lte: learners as never } }, { projection: { revision: 1 } })
    .toArray();
  const changes = docs.map(
    ({ _id, revision }): Change => ({
      learner: _id,
      revision,
      fields: [{ field: 'attributes.bench', after: `${run} ${_id}` }],
      memberships: [],
    }),
  );
  const batches = [...chunks(changes, BATCH_SIZE)].map(
    (some, at): BatchDoc => ({ _id: { run, batch: 1_000_001 + at }, settle: null, creates: false, changes: some }),
  );
  for (const some of chunks(batches, 20)) await store.batches.insertMany(some);
  await store.runs.insertOne({ ...blankRun(run, 'manual', 'bench', 'bench', new Date()), attempt: 1 });
  await store.outbox.insertMany(batches.map(({ _id }) => waiting(_id, 'apply', new Date())));
  const meter = cast.meter();
  await meter.time(() => drainRun(context, run));
  return { ...meter.cost, peak: peakMemory(), figures: { documents: changes.length } };
}
