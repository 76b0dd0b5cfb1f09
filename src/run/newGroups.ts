import type { GroupId } from '../domain/ids.ts';
import { type Group, Structure } from '../domain/structure.ts';
import type { NewGroup } from './groupsToMake.ts';

/** The group tree as it will be once the groups that the plan makes are there (R19). */
export function withNewGroups(structure: Structure, made: ReadonlyMap<GroupId, NewGroup>): Structure {
  if (made.size === 0) return structure;
  const ids = new Map([...made].map(([id, { externalId }]) => [externalId, id]));
  const groups: Group[] = [...made].map(([id, { externalId, name, parent }]) => {
    const above = parent && (ids.get(parent) ?? structure.byExternalId(parent)?.id);
    return {
      id,
      externalId,
      name,
      ...(above && { parent: above }),
      instructors: [],
      subenvironments: [],
      courses: [],
    };
  });
  const { revision, keysRevision: keys, keysGoneRevision: keysGone } = structure;
  return new Structure([...structure.groups, ...groups], { revision, keys, keysGone });
}
