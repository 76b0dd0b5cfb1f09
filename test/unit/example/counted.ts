import Papa from 'papaparse';
import type { PlanFigures } from '../../../src/domain/guard.ts';
import { type Company, DEPARTMENT_PREFIX } from '../../../src/example/company.ts';
import { CELL, SITE_SEPARATOR } from '../../../src/example/row.ts';

/** Rows of a file without its header, cell by cell. */
export function cellsOf(file: Buffer): string[][] {
  return Papa.parse<string[]>(file.toString(), { skipEmptyLines: true }).data.slice(1);
}

export const cell = (row: readonly string[], column: keyof typeof CELL) => row[CELL[column]] as string;

export function groupsOf(row: readonly string[]): string[] {
  if (cell(row, 'Status') === 'T') return [];
  const department = cell(row, 'Department');
  const sites = cell(row, 'Location').split(SITE_SEPARATOR);
  return [...(department === '' ? [] : [DEPARTMENT_PREFIX + department]), ...sites.filter((site) => site !== '')];
}

/** What a plan from the file of one night to that of the next would come to, counted the plain way. */
export function figuresBetween(company: Company, before: Buffer, after: Buffer): PlanFigures {
  const known = new Set(company.groups.map((group) => group.externalId as string));
  const read = (file: Buffer) => {
    const rows = cellsOf(file);
    const good = new Map<string, string[]>();
    const named = new Set<string>();
    for (const row of rows) {
      const ok = cell(row, 'EmployeeID') !== '' && groupsOf(row).every((group) => known.has(group));
      if (ok) good.set(cell(row, 'EmployeeID'), row);
      else for (const name of [cell(row, 'EmployeeID'), cell(row, 'Mail')]) named.add(name);
    }
    return { rows, good, named };
  };
  const [was, is] = [read(before), read(after)];
  const groups = new Map<string, { group: string; members: number; removed: number }>();
  const count = { removed: 0, lost: 0, added: 0, held: 0, deactivated: 0, identity: 0 };
  const left = new Map<string, number>();
  for (const [id, row] of was.good) {
    const isProtected = is.named.has(id) || is.named.has(cell(row, 'Mail'));
    const now = is.good.get(id);
    const next = isProtected ? groupsOf(row) : now === undefined ? [] : groupsOf(now);
    const removed = groupsOf(row).filter((group) => !next.includes(group));
    const added = next.filter((group) => !groupsOf(row).includes(group));
    count.held += groupsOf(row).length;
    count.removed += removed.length;
    if (added.length === 0) count.lost += removed.length;
    count.added += added.length;
    if (groupsOf(row).length > 0 && next.length === 0) count.deactivated++;
    if (now && !isProtected && [1, 2, 3].some((column) => now[column] !== row[column])) count.identity++;
    for (const group of groupsOf(row)) {
      const of = groups.get(group) ?? { group, members: 0, removed: 0 };
      groups.set(group, { group, members: of.members + 1, removed: of.removed + (removed.includes(group) ? 1 : 0) });
    }
    for (const group of next) left.set(group, (left.get(group) ?? 0) + 1);
  }
  const joiners = [...is.good].filter(([id, row]) => !was.good.has(id) && cell(row, 'Status') !== 'T');
  for (const [, row] of joiners) {
    count.added += groupsOf(row).length;
    for (const group of groupsOf(row)) left.set(group, (left.get(group) ?? 0) + 1);
  }
  const mails = new Set(was.rows.map((row) => cell(row, 'Mail')));
  const rejected = is.rows.length - is.good.size;
  return {
    held: { memberships: count.held, learners: was.good.size },
    membershipsRemoved: count.removed,
    membershipsLost: count.lost,
    membershipsAdded: count.added,
    emptiedGroups: [...groups.values()].filter((of) => of.removed > 0 && !left.has(of.group)),
    groups: [...groups.values()].filter((of) => of.removed > 0),
    deactivated: count.deactivated,
    created: joiners.length,
    identityChanged: count.identity,
    purged: 0,
    rows: {
      read: is.rows.length,
      rejected,
      unrecognised: is.rows.filter((row) => cell(row, 'EmployeeID') === '' && !mails.has(cell(row, 'Mail'))).length,
    },
    lastRows: was.rows.length,
    removals: count.removed > 0,
    lost24h: 0,
    lost7d: 0,
  };
}
