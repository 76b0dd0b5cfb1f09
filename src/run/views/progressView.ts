import type { CourseId, LearnerId } from '../../domain/ids.ts';
import type { ProgressDoc } from '../../store/models.ts';
import type { Store } from '../../store/store.ts';

/** Results of these learners, by learner and course. Read by ranges of the compound `_id`. */
export async function readProgress(
  store: Store,
  learners: readonly LearnerId[],
): Promise<Map<LearnerId, Map<CourseId, ProgressDoc>>> {
  const found = new Map<LearnerId, Map<CourseId, ProgressDoc>>();
  if (learners.length === 0) return found;
  const ranges = learners.map((learner) => ({
    _id: { $gte: { learner } as never, $lt: { learner: learner + 1 } as never },
  }));
  for await (const doc of store.progress.find({ $or: ranges })) {
    const { learner, course } = doc._id;
    let mine = found.get(learner);
    if (!mine) {
      mine = new Map();
      found.set(learner, mine);
    }
    mine.set(course, doc);
  }
  return found;
}
