import type { GroupId, LearnerId } from '../../domain/ids.ts';
import type { Services } from '../../store/services.ts';
import { readCourses } from '../../store/structure.ts';
import { learnerAt, memberIdsSince, structureAt } from '../history.ts';
import { type MemberView, memberViews } from './groupView.ts';
import { type LearnerView, learnerView } from './learnerView.ts';

/** The learner as of a date; null where there was none yet. Results are not kept by date, so there is no progress. */
export async function viewLearnerAt({ store }: Services, id: LearnerId, at: Date): Promise<LearnerView | null> {
  const { learner, subscriptions } = await learnerAt(store, id, at);
  if (!learner) return null;
  const structure = await structureAt(store, at);
  return learnerView(learner, subscriptions, new Map(), { structure, courses: await readCourses(store), now: at });
}

/** Memberships in the group as of a date, as `membersOf` gives those of now. */
export async function* membersAt(
  { store }: Services,
  group: GroupId,
  { effective, at }: { effective: boolean; at: Date },
): AsyncGenerator<MemberView> {
  const structure = await structureAt(store, at);
  const groups = effective ? structure.below(group) : [group];
  for (const id of await memberIdsSince(store, groups, at)) {
    const { learner } = await learnerAt(store, id, at);
    if (learner)
      yield* memberViews(learner, structure, (one) => groups.includes(one.group), effective ? at : undefined);
  }
}
