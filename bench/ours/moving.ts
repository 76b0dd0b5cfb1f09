import type { GroupId, LearnerId } from '../../src/domain/ids.ts';
import { moveLearner } from '../../src/run/memberships.ts';
import { readStructure } from '../../src/store/structure.ts';
import type { Cast } from '../cast.ts';
import { peakMemory, percentile } from '../measure.ts';
import type { Answer } from '../tasks.ts';

/** Moves single learners by hand, one after the other, each to the last subscription, with workers and relay running. */
export async function moving(
  cast: Cast,
  { database, moves, from }: { database: string; moves: number; from: number },
): Promise<Answer> {
  const muster = await cast.muster(database);
  const { context } = muster;
  await muster.work();
  const groups = [...(await readStructure(context.store)).groups].filter(({ externalId }) =>
    externalId?.startsWith('dept-'),
  );
  const learners = await context.store.learners
    .find({ _id: { $gte: from as LearnerId }, 'memberships.1': { $exists: true } })
    .limit(moves)
    .toArray();
  const taken: number[] = [];
  const meter = cast.meter();
  for (const [at, { _id, memberships }] of learners.entries()) {
    const group = memberships[0]?.group as GroupId;
    const to = (groups[(at * 7919) % groups.length] as { id: GroupId }).id;
    if (to === group) continue;
    const began = performance.now();
    await meter.time(() => moveLearner(context, { learner: _id, from: group, to, by: 'bench' }));
    taken.push(performance.now() - began);
  }
  const figures = { p50: percentile(taken, 0.5), p99: percentile(taken, 0.99), moves: taken.length };
  return { ...meter.cost, peak: peakMemory(), figures };
}
