import type { Learner } from '../../domain/learner.ts';
import type { Services } from '../../store/services.ts';
import { readStructure } from '../../store/structure.ts';
import { type GroupView, viewGroup } from './groupView.ts';
import { learnersInOrder } from './learnerList.ts';
import { compare, type LearnerView, readSurroundings, viewLearners } from './learnerView.ts';

const CHUNK = 500;

/** Every learner as `learners show` gives it: by External ID, then those without one by number. */
export async function* exportLearners(services: Services): AsyncGenerator<LearnerView> {
  const surroundings = await readSurroundings(services);
  let some: Learner[] = [];
  for await (const learner of learnersInOrder(services.store)) {
    some.push(learner);
    if (some.length < CHUNK) continue;
    yield* await viewLearners(services, some, surroundings);
    some = [];
  }
  yield* await viewLearners(services, some, surroundings);
}

/** Every group as `groups show` gives it: by External ID, then those without one by number. */
export async function* exportGroups(services: Services): AsyncGenerator<GroupView> {
  const structure = await readStructure(services.store);
  const groups = [...structure.groups].sort((a, b) => byKey(a, b) || a.id - b.id);
  for (const group of groups) yield viewGroup(services, group);
}

function byKey(a: { externalId?: string }, b: { externalId?: string }): number {
  if (a.externalId === undefined || b.externalId === undefined) {
    return Number(a.externalId === undefined) - Number(b.externalId === undefined);
  }
  return compare(a.externalId, b.externalId);
}

export type SubscriptionView = LearnerView['subscriptions'][number] & {
  readonly learner: string;
  readonly email: string | null;
};

/** Every subscription: by learner as in `exportLearners`, then by course. */
export async function* exportSubscriptions(services: Services): AsyncGenerator<SubscriptionView> {
  for await (const { id, externalId, email, subscriptions } of exportLearners(services)) {
    for (const subscription of subscriptions) yield { learner: externalId ?? id, email, ...subscription };
  }
}
