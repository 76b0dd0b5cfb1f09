import { EMPTIED_GROUP_MEMBERS } from '../domain/guard.ts';
import type { Structure } from '../domain/structure.ts';
import { countMembers } from '../store/learners.ts';
import type { Store } from '../store/store.ts';
import type { Tally } from './tally.ts';

/** Groups that lose so many that the guard may ask about them, with the members that they have and would be left with. */
export async function losingGroups(
  store: Store,
  structure: Structure,
  tally: Tally,
): Promise<{ group: string; members: number; removed: number; left: number }[]> {
  const losing = [...tally.groups].filter(([, { removed }]) => removed >= EMPTIED_GROUP_MEMBERS);
  const found = [];
  for (const [id, { added, removed, gone }] of losing) {
    const members = await countMembers(store, id);
    const group = structure.group(id)?.externalId ?? `id:${id}`;
    found.push({ group, members, removed, left: members + added - gone });
  }
  return found.sort((a, b) => (a.group < b.group ? -1 : 1));
}
