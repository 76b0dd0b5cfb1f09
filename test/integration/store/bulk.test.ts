import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { CourseId, LearnerId } from '../../../src/domain/ids.ts';
import type { Subscription } from '../../../src/domain/settle.ts';
import { changeAll, insertAll } from '../../../src/store/bulk.ts';
import type { SubscriptionsDoc } from '../../../src/store/models.ts';
import { useMuster } from '../../harness.ts';

const muster = useMuster();
const since = new Date('2026-01-01T00:00:00Z');

/** What becomes of each item that was there, and how many are new. */
const edits = fc.array(
  fc.record({
    before: fc.array(fc.constantFrom('stays', 'changes', 'goes'), { maxLength: 8 }),
    more: fc.nat({ max: 5 }),
    due: fc.constantFrom('none', 'stays', 'comes', 'goes'),
  }),
  { minLength: 1, maxLength: 20 },
);

test('documents are as they are to be, whatever of them changes', async () => {
  const { store } = muster;
  await fc.assert(
    fc.asyncProperty(edits, async (list) => {
      await store.subscriptions.deleteMany({});
      const pairs = list.map(({ before, more, due }, at) => {
        const learner = (at + 1) as LearnerId;
        const item = (course: number, status: Subscription['status']): Subscription => ({
          course: course as CourseId,
          status,
          direct: false,
          since,
        });
        const items = before.map((_, course) => item(course, 'active'));
        const kept = items.flatMap((one, course) => {
          if (before[course] === 'goes') return [];
          return before[course] === 'stays' ? [one] : [item(course, 'expired')];
        });
        const added = Array.from({ length: more }, (_, course) => item(100 + course, 'active'));
        const dueBefore = due === 'stays' || due === 'goes' ? { due: since } : {};
        const dueAfter = due === 'stays' || due === 'comes' ? { due: since } : {};
        const doc = (revision: number, rest: object, items: Subscription[]): SubscriptionsDoc => ({
          _id: learner,
          revision,
          ...rest,
          items,
        });
        return { _id: learner, before: doc(1, dueBefore, items), after: doc(2, dueAfter, [...kept, ...added]) };
      });
      await store.transaction(async (session) => {
        await insertAll(
          store,
          'subscriptions',
          pairs.map(({ before }) => before),
          session,
        );
      });
      await store.transaction((session) => changeAll(store, 'subscriptions', pairs, session));
      expect(await store.subscriptions.find().sort({ _id: 1 }).toArray()).toEqual(pairs.map(({ after }) => after));
    }),
    { numRuns: 40 },
  );
});

test('a document that is not there makes the whole change fail', async () => {
  const { store } = muster;
  await store.subscriptions.deleteMany({});
  const doc = { _id: 7 as LearnerId, revision: 1, items: [] };
  const edit = { _id: doc._id, before: doc, after: { ...doc, revision: 2 } };
  await expect(store.transaction((session) => changeAll(store, 'subscriptions', [edit], session))).rejects.toThrow(
    '1 of the subscriptions are not there',
  );
});
