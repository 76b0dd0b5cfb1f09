import type { Settlement } from '../domain/settle.ts';
import type { Store } from '../store/store.ts';
import type { ManualResult } from './manual.ts';
import { countEvent, NO_SUBSCRIPTIONS, type SubscriptionCounts } from './outcome.ts';

/** What a removal would do (R11). */
export interface RemovalPreview {
  /** Learners from whom something would be taken: the membership, or the grant. */
  readonly learners: number;
  readonly counts: SubscriptionCounts;
  /** Courses touched. */
  readonly courses: number;
  /** Results (learner, course) that a purge would delete. */
  readonly results: number;
  /** Courses of learners that stay, whatever the option, since another group or a direct grant gives them, */
  readonly stay: number;
  /** and the first of them. */
  readonly skipped: ManualResult['skipped'];
}

/** How many of what stays a preview names. */
const NAMED = 1_000;

/** Adds up what settlements would do that were simulated. */
export class RemovalTally {
  readonly #store: Store;
  readonly #counts = { ...NO_SUBSCRIPTIONS };
  readonly #courses = new Set<number>();
  readonly #skipped: ManualResult['skipped'][number][] = [];
  #learners = 0;
  #results = 0;
  #stay = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  /** `asPurge`: the same removal as a purge, which says what stays. */
  async add(settlements: readonly Settlement[], asPurge: readonly Settlement[]): Promise<void> {
    this.#learners += settlements.length;
    for (const { events } of settlements) {
      for (const { course, kind } of events) {
        this.#courses.add(course);
        countEvent(this.#counts, kind);
      }
    }
    for (const { learner, events } of asPurge) {
      for (const event of events) {
        if (event.kind !== 'purge-skipped') continue;
        this.#stay += 1;
        const { course, through } = event;
        if (this.#skipped.length < NAMED) this.#skipped.push({ learner, course, through });
      }
    }
    const purged = settlements.flatMap(({ learner, purge }) => purge.map((course) => ({ learner, course })));
    if (purged.length > 0) this.#results += await this.#store.progress.countDocuments({ _id: { $in: purged } });
  }

  get preview(): RemovalPreview {
    return {
      learners: this.#learners,
      counts: this.#counts,
      courses: this.#courses.size,
      results: this.#results,
      stay: this.#stay,
      skipped: this.#skipped,
    };
  }
}
