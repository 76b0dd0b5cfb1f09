import { MANUAL, type SourceName } from '../domain/ids.ts';
import type { Learner } from '../domain/learner.ts';
import type { Session, Store } from '../store/store.ts';

/**
 * What changes by hand and undos do to the counts of what each feed holds, which the guard's percentages are of. A
 * feed's own run counts for itself, when it ends.
 */
export class HeldByFeeds {
  readonly #differences = new Map<SourceName, { learners: number; memberships: number }>();

  add(before: Learner, after: Learner): void {
    this.#count(before, -1);
    this.#count(after, 1);
  }

  async write(store: Store, session: Session): Promise<void> {
    for (const [feed, { learners, memberships }] of this.#differences) {
      if (learners === 0 && memberships === 0) continue;
      const change = { $inc: { 'held.learners': learners, 'held.memberships': memberships } };
      await store.feeds.updateOne({ _id: feed }, change, { session });
    }
  }

  #count({ memberships, holds }: Learner, by: 1 | -1): void {
    for (const { sources } of memberships) {
      for (const source of new Set(sources.map((one) => one.source))) {
        if (source !== MANUAL) this.#of(source).memberships += by;
      }
    }
    for (const { feed, leftAt } of holds) if (!leftAt) this.#of(feed).learners += by;
  }

  #of(feed: SourceName): { learners: number; memberships: number } {
    const known = this.#differences.get(feed) ?? { learners: 0, memberships: 0 };
    this.#differences.set(feed, known);
    return known;
  }
}
