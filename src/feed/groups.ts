import type { NamedGroup } from '../domain/claim.ts';
import type { ExternalId } from '../domain/ids.ts';
import type { FeedSettings } from '../settings/feed.ts';
import type { Cells } from './records.ts';
import { clean, ownText } from './text.ts';

/** A cell gives another number of names or parents than there are groups. */
export class GroupNamesUneven extends Error {}

const NO_GROUPS: readonly NamedGroup[] = [];
/** Cells of groups repeat a million times over a feed; so many distinct ones are kept, for each column. */
const KEPT = 20_000;

/** The place of a column, −1 where there is none. */
export type FindColumn = (column: string | undefined) => number;

/**
 * Reads the groups of a row from all group columns: split, trimmed, prefixed, empty ones and repetitions dropped.
 * Names and parents go with the groups by their places, where there are as many, a blank one giving none; otherwise by
 * their order. One parent without a separator stands for all. `leniently`: names and parents that do not fit are left out
 * instead of raising GroupNamesUneven.
 */
export function compileGroups(
  settings: FeedSettings['groups'],
  find: FindColumn,
): (cells: Cells, leniently: boolean) => readonly NamedGroup[] {
  const columns = settings.map((column) => compileColumn(column, find));
  return (cells, leniently) => {
    let found = NO_GROUPS;
    for (const column of columns) found = united(found, column(cells, leniently));
    return found;
  };
}

function compileColumn(
  { column, separator, prefix, name, parent }: FeedSettings['groups'][number],
  find: FindColumn,
): (cells: Cells, leniently: boolean) => readonly NamedGroup[] {
  const index = find(column);
  const nameIndex = find(name);
  const parentIndex = find(parent?.column);
  const parentPrefix = parent?.prefix ?? '';
  const alone = nameIndex < 0 && parentIndex < 0;
  const seen = new Map<string, readonly NamedGroup[]>();

  function read(cells: Cells, leniently: boolean): readonly NamedGroup[] {
    const ids = places(cells[index], separator);
    const names = fitting(cells, nameIndex, ids, false, leniently);
    const parents = fitting(cells, parentIndex, ids, true, leniently);
    const groups: NamedGroup[] = [];
    for (const [place, id] of ids.entries()) {
      if (id === '') continue;
      const own = names[place];
      const above = parents[place];
      const group = {
        externalId: (prefix + id) as ExternalId,
        ...(own && { name: own }),
        ...(above && { parent: (parentPrefix + above) as ExternalId }),
      };
      if (!holds(groups, group)) groups.push(group);
    }
    return groups;
  }

  function fitting(
    cells: Cells,
    at: number,
    ids: readonly string[],
    oneForAll: boolean,
    leniently: boolean,
  ): readonly string[] {
    const given = at < 0 ? [] : places(cells[at], separator);
    const present = given.filter((part) => part !== '');
    if (present.length === 0 || given.length === ids.length) return given;
    if (oneForAll && given.length === 1) return ids.map(() => given[0] as string);
    const groups = ids.filter((id) => id !== '').length;
    let next = 0;
    if (present.length === groups) return ids.map((id) => (id === '' ? '' : (present[next++] as string)));
    if (leniently) return [];
    const its = at === nameIndex ? name : parent?.column;
    throw new GroupNamesUneven(`column ${its} gives ${present.length} for ${groups} groups of column ${column}`);
  }

  return (cells, leniently) => {
    const text = cells[index] ?? '';
    if (text === '') return NO_GROUPS;
    if (!alone) return read(cells, leniently);
    let groups = seen.get(text);
    if (groups === undefined) {
      groups = read(cells, leniently).map((group) => ({
        ...group,
        externalId: ownText(group.externalId),
      }));
      if (seen.size >= KEPT) seen.clear();
      seen.set(ownText(text), groups);
    }
    return groups;
  };
}

function united(groups: readonly NamedGroup[], more: readonly NamedGroup[]): readonly NamedGroup[] {
  if (groups.length === 0) return more;
  const fresh = more.filter((group) => !holds(groups, group));
  return fresh.length === 0 ? groups : [...groups, ...fresh];
}

function holds(groups: readonly NamedGroup[], { externalId }: NamedGroup): boolean {
  return groups.some((group) => group.externalId === externalId);
}

/** The parts of a cell in their places; blank ones are there too. */
function places(text: string | undefined, separator: string | undefined): string[] {
  const whole = clean(text ?? '');
  if (separator === undefined || !whole.includes(separator)) return whole === '' ? [] : [whole];
  return whole.split(separator).map(clean);
}
