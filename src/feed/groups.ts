import type { NamedGroup } from '../domain/claim.ts';
import { type ExternalId, externalId } from '../domain/ids.ts';
import type { FeedSettings } from '../settings/feed.ts';
import type { Cells } from './records.ts';

/** A cell gives another number of names or parents than there are groups. */
export class GroupNamesUneven extends Error {}

const NO_GROUPS: readonly NamedGroup[] = [];

/**
 * Reads the groups of a row from all group columns: split, trimmed, prefixed, empty ones and repetitions dropped.
 * Names and parents go with the groups by their order; one parent stands for all. `leniently`: names and parents
 * that do not fit are left out instead of raising GroupNamesUneven.
 */
export function compileGroups(
  settings: FeedSettings['groups'],
  headers: readonly string[],
): (cells: Cells, leniently: boolean) => readonly NamedGroup[] {
  const columns = settings.map(({ column, separator, prefix, name, parent }) => ({
    index: headers.indexOf(column),
    separator,
    prefix,
    name: name === undefined ? -1 : headers.indexOf(name),
    parent: parent === undefined ? -1 : headers.indexOf(parent.column),
    parentPrefix: parent?.prefix ?? '',
  }));
  return (cells, leniently) => {
    let found: NamedGroup[] | undefined;
    for (const column of columns) {
      const text = cells[column.index] ?? '';
      if (text === '') continue;
      const ids = parts(text, column.separator);
      const names = column.name < 0 ? [] : parts(cells[column.name] ?? '', column.separator);
      const parents = column.parent < 0 ? [] : parts(cells[column.parent] ?? '', column.separator);
      const uneven =
        (names.length > 0 && names.length !== ids.length) || (parents.length > 1 && parents.length !== ids.length);
      if (uneven && !leniently) {
        const which = names.length > 0 && names.length !== ids.length ? column.name : column.parent;
        const given = which === column.name ? names.length : parents.length;
        throw new GroupNamesUneven(
          `column ${headers[which]} gives ${given} for ${ids.length} groups of column ${headers[column.index]}`,
        );
      }
      for (const [position, part] of ids.entries()) {
        const id = externalId(column.prefix + part);
        if (id === undefined || found?.some((group) => group.externalId === id)) continue;
        const name = uneven ? undefined : names[position];
        const parent = uneven ? undefined : (parents[position] ?? parents[0]);
        (found ??= []).push({
          externalId: id,
          ...(name !== undefined && { name }),
          ...(parent !== undefined && { parent: externalId(column.parentPrefix + parent) as ExternalId }),
        });
      }
    }
    return found ?? NO_GROUPS;
  };
}

function parts(text: string, separator: string | undefined): string[] {
  if (separator === undefined || !text.includes(separator)) {
    const only = externalId(text);
    return only === undefined ? [] : [only];
  }
  return text.split(separator).flatMap((part) => externalId(part) ?? []);
}
