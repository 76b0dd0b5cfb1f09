import type { CourseId, ExternalId, GroupId, LearnerId } from '../src/domain/ids.ts';
import type { Store } from '../src/store/store.ts';

/** Subscriptions of a learner. */
const COURSES = 5;
const GROUPS = 200;
const BATCH = 5_000;

/** Learners in groups, with so many subscriptions in all and results of one in two. */
export async function fillSubscriptions(store: Store, rows: number): Promise<void> {
  const since = new Date('2026-01-01T00:00:00Z');
  const range = (count: number) => Array.from({ length: count }, (_, at) => at);
  await store.courses.insertMany(
    range(COURSES).map((at) => ({
      _id: (at + 1) as CourseId,
      name: `Course ${at + 1}`,
      externalId: `c${at}` as ExternalId,
    })),
  );
  await store.groups.insertMany(
    range(GROUPS).map((at) => ({
      _id: (at + 1) as GroupId,
      externalId: `g${at}` as ExternalId,
      name: `Department ${(at * 7) % GROUPS}`,
      instructors: [],
      subenvironments: [],
      courses: range(COURSES).map((course) => (course + 1) as CourseId),
      revision: 1,
    })),
  );
  const learners = Math.ceil(rows / COURSES);
  for (let from = 0; from < learners; from += BATCH) {
    const ids = range(Math.min(BATCH, learners - from)).map((at) => (from + at + 1) as LearnerId);
    await store.learners.insertMany(
      ids.map((id) => ({
        _id: id,
        externalId: String(id).padStart(9, '0') as ExternalId,
        email: `first.last.${id}@staff.example.org`,
        emailKey: `first.last.${id}@staff.example.org`,
        firstName: `First ${id % 977}`,
        lastName: `Last ${(id * 31) % 9973}`,
        status: 'active' as const,
        attributes: { department: `Department ${id % 50}` },
        memberships: [{ group: ((id % GROUPS) + 1) as GroupId, sources: [{ source: 'hr' }] }],
        holds: [],
        revision: 1,
      })),
    );
    await store.subscriptions.insertMany(
      ids.map((id) => ({
        _id: id,
        revision: 1,
        items: range(COURSES).map((course) => ({
          course: (course + 1) as CourseId,
          status: 'active' as const,
          direct: false,
          since,
        })),
      })),
    );
    await store.progress.insertMany(
      ids.flatMap((learner) =>
        range(COURSES)
          .filter((course) => (learner + course) % 2 === 0)
          .map((course) => ({
            _id: { learner, course: (course + 1) as CourseId },
            completion: (learner * 7 + course) % 101,
            activities: [],
            updatedAt: since,
          })),
      ),
    );
  }
  await store.meta.updateOne({ _id: 'structure' }, { $inc: { revision: 1 } }, { upsert: true });
}
