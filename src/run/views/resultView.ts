import { learnersById } from '../../store/learners.ts';
import type { Store } from '../../store/store.ts';
import { readCourses, readStructure } from '../../store/structure.ts';
import type { ManualResult } from '../manual.ts';
import { keyIn, keyOf } from './key.ts';

/** What a change by hand came to: keys in place of numbers. */
export interface ResultView extends Omit<ManualResult, 'skipped'> {
  /** Purges that were not done, with the groups that still give the course; none = a direct grant. */
  readonly skipped: readonly {
    readonly learner: string;
    readonly course: string;
    readonly through: readonly string[];
  }[];
}

export async function viewResult(store: Store, { skipped, ...result }: ManualResult): Promise<ResultView> {
  return { ...result, skipped: await viewSkipped(store, skipped) };
}

export async function viewSkipped(store: Store, skipped: ManualResult['skipped']): Promise<ResultView['skipped']> {
  if (skipped.length === 0) return [];
  const [courses, structure] = [await readCourses(store), await readStructure(store)];
  const learners = await learnersById(store, [...new Set(skipped.map(({ learner }) => learner))]);
  return skipped.map(({ learner, course, through }) => ({
    learner: keyIn(learners, learner),
    course: keyIn(courses, course),
    through: through.map((id) => keyOf(structure.group(id) ?? { id })),
  }));
}
