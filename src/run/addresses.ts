import type { ExternalId, LearnerId } from '../domain/ids.ts';
import { type Address, addressesByExternalId } from '../store/learners.ts';
import type { Store } from '../store/store.ts';

/** External IDs of which the answer is remembered: as many as a run holds claims in memory. */
const REMEMBERED = 20_000;

/**
 * Number and e-mail address of stored learners by External ID, asked for once in a run: reading wants to know whose
 * the rows are, and planning who has which address. What changes in between meets the plan when it is applied (R27).
 */
export class Addresses {
  readonly store: Store;
  /** Null: nobody has that External ID. */
  readonly #known = new Map<ExternalId, Address | null>();

  constructor(store: Store) {
    this.store = store;
  }

  async of(ids: readonly ExternalId[]): Promise<Map<ExternalId, Address>> {
    const found = new Map<ExternalId, Address>();
    const asked: ExternalId[] = [];
    for (const id of ids) {
      const known = this.#known.get(id);
      if (known) found.set(id, known);
      else if (known === undefined) asked.push(id);
    }
    if (asked.length === 0) return found;
    const answered = await addressesByExternalId(this.store, asked);
    for (const id of asked) {
      const address = answered.get(id);
      if (address) found.set(id, address);
      if (this.#known.size < REMEMBERED) this.#known.set(id, address ?? null);
    }
    return found;
  }

  /** Their numbers alone. */
  async idsOf(ids: readonly ExternalId[]): Promise<Map<ExternalId, LearnerId>> {
    return new Map([...(await this.of(ids))].map(([externalId, { id }]) => [externalId, id]));
  }
}
