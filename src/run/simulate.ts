import { applyChange, createLearner } from '../domain/applyChange.ts';
import type { Change, RemovalOption } from '../domain/change.ts';
import type { SourceName } from '../domain/ids.ts';
import type { Learner } from '../domain/learner.ts';
import { endingsOf, type SettleInput, type SettleKind, type Settlement, settle } from '../domain/settle.ts';
import type { Structure } from '../domain/structure.ts';
import type { Store } from '../store/store.ts';
import { readSubscriptions } from '../store/subscriptions.ts';

/** What settling these changes would do, given what is stored now. Writes nothing (previews, R11). */
export async function simulate(
  store: Store,
  changes: readonly { change: Change; live: Learner | undefined }[],
  structure: Structure,
  now: Date,
  windowOption: (source: SourceName) => RemovalOption,
  kind: SettleKind = 'purge',
  order: Pick<SettleInput, 'revoke'> & { endings?: SettleInput['endings'] } = {},
): Promise<Settlement[]> {
  const held = await readSubscriptions(
    store,
    changes.flatMap(({ live }) => (live ? [live.id] : [])),
  );
  return changes.map(({ change, live }) => {
    const after = live ? applyChange(live, change) : createLearner(change);
    return settle({
      learner: after.id,
      memberships: after.memberships,
      held: held.get(after.id),
      structure,
      now,
      kind,
      windowOption,
      ...order,
      endings: [...endingsOf(change, structure), ...(order.endings ?? [])],
    });
  });
}
