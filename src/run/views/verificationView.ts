import { learnersById } from '../../store/learners.ts';
import type { Services } from '../../store/services.ts';
import { readCourses } from '../../store/structure.ts';
import type { Verification } from '../verify.ts';
import { keyIn } from './key.ts';

/** What `verify` found, learners and courses by what they are called. */
export async function viewVerification({ store }: Services, { drift, ...found }: Verification) {
  const courses = await readCourses(store);
  const named = await learnersById(store, [...new Set(drift.map(({ learner }) => learner))]);
  return {
    ...found,
    drift: drift.map(({ learner, course, ...rest }) => ({
      learner: keyIn(named, learner),
      course: course === null ? null : keyIn(courses, course),
      ...rest,
    })),
  };
}
