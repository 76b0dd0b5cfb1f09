import { entitledCourses } from '../../domain/entitlement.ts';
import type { CourseId, GroupId, LearnerId } from '../../domain/ids.ts';
import { type Group, Structure } from '../../domain/structure.ts';
import { learnersById, memberIds } from '../../store/learners.ts';
import type { Services } from '../../store/services.ts';
import { readStructure } from '../../store/structure.ts';
import { readSubscriptions } from '../../store/subscriptions.ts';
import { chunks } from '../chunks.ts';

/** What a change of structure would end, with whichever removal option (R10, R11). */
export interface EndingPreview {
  /** Learners who lose a course that nothing else gives them. */
  readonly learners: number;
  readonly courses: number;
  /** Results (learner, course) that a purge would delete; of a group that is deleted, those of memberships that have ended too. */
  readonly results: number;
}

/** Compares what the members of the group, and of those below it, are entitled to under `groups` with what they have now. */
export async function previewStructure(
  { store, clock }: Services,
  group: GroupId,
  change: (group: Group) => Group | null,
): Promise<EndingPreview> {
  const before = await readStructure(store);
  const after = changed(before, change);
  const deleted = new Set(before.below(group).filter((id) => !after.group(id)));
  const courses = new Set<CourseId>();
  let learners = 0;
  let results = 0;
  for (const ids of chunks(await memberIds(store, before.below(group)), 1000)) {
    const [live, held] = [await learnersById(store, ids), await readSubscriptions(store, ids)];
    const lost: { learner: LearnerId; course: CourseId }[] = [];
    for (const learner of live.values()) {
      const now = clock.now();
      const kept = entitledCourses(learner.memberships, after, now);
      const goes = (course: CourseId) =>
        !kept.has(course) && !held.get(learner.id)?.items.some((item) => item.course === course && item.direct);
      const ending = [...entitledCourses(learner.memberships, before, now)].filter(goes);
      if (ending.length > 0) learners += 1;
      for (const course of ending) courses.add(course);
      // Of a group that is deleted, members lose the results of what it gave them at any time.
      const mine = learner.memberships.filter((one) => deleted.has(one.group));
      const given = mine.flatMap((one) => before.courses(one.group)).filter(goes);
      for (const course of new Set([...ending, ...given])) lost.push({ learner: learner.id, course });
    }
    if (lost.length > 0) results += await store.progress.countDocuments({ _id: { $in: lost } });
  }
  return { learners, courses: courses.size, results };
}

function changed(before: Structure, change: (group: Group) => Group | null): Structure {
  return new Structure([...before.groups].flatMap((group) => change(group) ?? []));
}
