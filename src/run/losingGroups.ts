import { EMPTIED_GROUP_MEMBERS, REMOVED_GROUP_MEMBERS } from '../domain/guard.ts';
import type { Limits } from '../domain/policy.ts';
import type { Structure } from '../domain/structure.ts';
import { countMembers } from '../store/learners.ts';
import type { Store } from '../store/store.ts';
import type { Tally } from './tally.ts';

/** Groups that lose so many that the guard may ask about them, with the members that they have and would be left with. */
export async function losingGroups(
  store: Store,
  structure: Structure,
  tally: Tally,
  { groupRemovedPercent: most }: Limits,
): Promise<{ group: string; members: number; removed: number; left: number }[]> {
  // Fewer break no limit, however small the group: most nights take one or two out of thousands of groups.
  const few = most === null ? EMPTIED_GROUP_MEMBERS : Math.floor((most / 100) * REMOVED_GROUP_MEMBERS) + 1;
  const losing = [...tally.groups].filter(([, { gone }]) => gone >= Math.min(few, EMPTIED_GROUP_MEMBERS));
  const found = [];
  for (const [id, { added, gone }] of losing) {
    const members = await countMembers(store, id);
    const group = structure.group(id)?.externalId ?? `id:${id}`;
    found.push({ group, members, removed: gone, left: members + added - gone });
  }
  return found.sort((a, b) => (a.group < b.group ? -1 : 1));
}
