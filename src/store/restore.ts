import type { RunId } from '../domain/ids.ts';
import type { Restore } from './models.ts';
import type { Session, Store } from './store.ts';

/**
 * Puts purged results and subscriptions of a run back, as `expired`: what settling finds then, it reactivates where
 * something gives the course. Results that were made since stay, and what was purged is kept on as long as it is kept anyway.
 */
export async function restorePurged(
  store: Store,
  session: Session,
  run: RunId,
  restores: readonly Restore[],
): Promise<void> {
  const ids = restores.flatMap(({ learner, purged }) => purged.map((course) => ({ learner, course, run })));
  if (ids.length === 0) return;
  for (const { _id, subscription, progress } of await store.purged.find({ _id: { $in: ids } }, { session }).toArray()) {
    const { learner, course } = _id;
    if (progress) {
      const { upsertedCount } = await store.progress.updateOne(
        { _id: { learner, course } },
        { $setOnInsert: progress },
        { session, upsert: true },
      );
      if (upsertedCount === 0) continue;
    }
    if (subscription) {
      const held = await store.subscriptions.findOne({ _id: learner }, { session });
      if (!held?.items.some((item) => item.course === course)) {
        const item = { ...subscription, status: 'expired' as const, direct: false };
        await store.subscriptions.updateOne(
          { _id: learner },
          { $push: { items: item }, $inc: { revision: 1 } },
          { session, upsert: true },
        );
      }
    }
    await store.purged.deleteOne({ _id }, { session });
  }
}
