import type { LearnerId } from '../../../src/domain/ids.ts';
import type { Store } from '../../../src/store/store.ts';
import { externalIdOf } from './nights.ts';

/** The leavers of the second night, whose results are purged. */
const LEAVERS = [40, 41, 44, 52, 53, 56].map(externalIdOf);

export type Purge = 'before' | 'after' | 'torn';

/**
 * How far the purge of each leaver has come. `after`: no subscription and no result is left, and each that there was
 * lies in `purged`, whole. `torn`: anything between.
 */
export async function purgesOf(store: Store): Promise<Map<string, Purge>> {
  const found = new Map<string, Purge>();
  for (const externalId of LEAVERS) {
    const learner = (await store.learners.findOne({ externalId }))?._id as LearnerId;
    const items = (await store.subscriptions.findOne({ _id: learner }))?.items ?? [];
    const progress = await store.progress.find({ '_id.learner': learner }).toArray();
    const purged = await store.purged.find({ '_id.learner': learner }).toArray();
    const whole = purged.filter((doc) => doc.subscription && doc.progress).length;
    if (purged.length === 0 && items.length === progress.length) found.set(externalId, 'before');
    else found.set(externalId, whole === purged.length && items.length + progress.length === 0 ? 'after' : 'torn');
  }
  return found;
}
