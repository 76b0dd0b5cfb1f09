import { through } from '../../domain/entitlement.ts';
import type { CourseId, LearnerId } from '../../domain/ids.ts';
import type { Subscription } from '../../domain/settle.ts';
import type { Course, Structure } from '../../domain/structure.ts';
import { learnersById } from '../../store/learners.ts';
import type { Services } from '../../store/services.ts';
import type { Store } from '../../store/store.ts';
import { readStructure } from '../../store/structure.ts';
import { keyOf } from './key.ts';
import { compare, figuresOf, type ProgressFigures } from './learnerView.ts';
import { readProgress } from './progressView.ts';

export interface CourseView {
  readonly id: string;
  readonly externalId: string | null;
  readonly name: string;
  readonly subenvironment: string | null;
  /** Groups that are linked to it. */
  readonly groups: readonly string[];
  readonly subscriptions: { readonly active: number; readonly expired: number };
}

export async function viewCourse({ store }: Services, course: Course): Promise<CourseView> {
  const [counts, structure] = [await countSubscriptions(store, course.id), await readStructure(store)];
  return courseView(course, structure, counts.get(course.id));
}

export function courseView(
  course: Course,
  structure: Structure,
  counts: CourseView['subscriptions'] = { active: 0, expired: 0 },
): CourseView {
  return {
    id: `id:${course.id}`,
    externalId: course.externalId ?? null,
    name: course.name,
    subenvironment: course.subenvironment ?? null,
    groups: [...structure.groups]
      .filter(({ courses }) => courses.includes(course.id))
      .map(keyOf)
      .sort(compare),
    subscriptions: counts,
  };
}

/** Subscriptions by course and status, of one course or of all. */
export async function countSubscriptions(
  store: Store,
  course?: CourseId,
): Promise<Map<CourseId, CourseView['subscriptions']>> {
  const one = course === undefined ? [] : [{ $match: { 'items.course': course } }];
  const sums = store.subscriptions.aggregate<{
    _id: { course: CourseId; status: Subscription['status'] };
    count: number;
  }>([
    ...one,
    { $unwind: '$items' },
    ...one,
    { $group: { _id: { course: '$items.course', status: '$items.status' }, count: { $sum: 1 } } },
  ]);
  const found = new Map<CourseId, CourseView['subscriptions']>();
  for await (const { _id, count } of sums) {
    found.set(_id.course, { active: 0, expired: 0, ...found.get(_id.course), [_id.status]: count });
  }
  return found;
}

export interface SubscriberView {
  readonly id: string;
  readonly externalId: string | null;
  readonly email: string | null;
  readonly status: Subscription['status'];
  readonly through: readonly string[];
  readonly direct: boolean;
  readonly since: Date;
  readonly progress: ProgressFigures | null;
}

const CHUNK = 500;

/** Everybody who has, or had, the course, in the order of the learners' numbers. */
export async function* subscribersOf(
  { store, clock }: Services,
  course: CourseId,
  after?: LearnerId,
): AsyncGenerator<SubscriberView> {
  const structure = await readStructure(store);
  const now = clock.now();
  const docs = store.subscriptions
    .find({ 'items.course': course, ...(after !== undefined && { _id: { $gt: after } }) })
    .sort({ _id: 1 })
    .batchSize(CHUNK);
  let some: { learner: number; item: Subscription }[] = [];
  for await (const doc of docs) {
    const item = doc.items.find((one) => one.course === course);
    if (item) some.push({ learner: doc._id, item });
    if (some.length < CHUNK) continue;
    yield* views();
    some = [];
  }
  yield* views();

  async function* views(): AsyncGenerator<SubscriberView> {
    const ids = some.map(({ learner }) => learner as never);
    const [learners, progress] = [await learnersById(store, ids), await readProgress(store, ids)];
    for (const { learner: id, item } of some) {
      const learner = learners.get(id as never);
      if (!learner) continue;
      yield {
        id: `id:${learner.id}`,
        externalId: learner.externalId ?? null,
        email: learner.email ?? null,
        status: item.status,
        through: through(course, learner.memberships, structure, now).map((group) =>
          keyOf(structure.group(group) ?? { id: group }),
        ),
        direct: item.direct,
        since: item.since,
        progress: figuresOf(progress.get(learner.id)?.get(course)),
      };
    }
  }
}
