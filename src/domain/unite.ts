import type { Claim, ClaimedGroup, Rejection, RowClaim } from './claim.ts';
import type { ExternalId, GroupId } from './ids.ts';
import type { Window } from './learner.ts';
import { unite as uniteWindows } from './window.ts';

/** A row whose groups have been looked up. */
export interface ResolvedRow extends RowClaim {
  readonly externalId: ExternalId;
  readonly groupIds: readonly GroupId[];
}

export interface United {
  readonly claim: Claim | null;
  readonly rejections: readonly Rejection[];
  /** Rows that say nothing that another row has not said already (R18). */
  readonly repeated: readonly number[];
}

/**
 * One learner's rows as one claim: the union of groups and windows, the same whatever the order (R18). Rows that
 * contradict each other about who the learner is are all rejected, since either could be the wrong one (R15).
 */
export function uniteRows(rows: readonly ResolvedRow[]): United {
  if (rows.length === 1) return { claim: claimOf(rows[0] as ResolvedRow), rejections: [], repeated: [] };
  const sorted = [...rows].sort((a, b) => a.row - b.row);
  const first = sorted[0];
  if (!first) return { claim: null, rejections: [], repeated: [] };
  const stating = sorted.filter((row) => row.action === 'add');
  const conflict = stating.length > 1 ? conflictOf(stating) : undefined;
  if (conflict) {
    return { claim: null, repeated: [], rejections: sorted.map((row) => conflictRejection(row, conflict)) };
  }
  const seen = new Set<string>();
  const repeated: number[] = [];
  for (const row of sorted) {
    const key = keyOf(row);
    if (seen.has(key)) repeated.push(row.row);
    seen.add(key);
  }
  const windows = new Map<GroupId, Window[]>();
  const removed = new Set<GroupId>();
  for (const row of sorted) {
    for (const group of row.groupIds) {
      if (row.action === 'remove') removed.add(group);
      else windows.set(group, [...(windows.get(group) ?? []), row.window]);
    }
  }
  const both = [...removed].find((group) => windows.has(group));
  if (both !== undefined) {
    return { claim: null, repeated: [], rejections: sorted.map((row) => conflictRejection(row, 'action')) };
  }
  const groups: ClaimedGroup[] = [...windows]
    .map(([group, list]) => ({ group, windows: uniteWindows(list) }))
    .sort((a, b) => a.group - b.group);
  return {
    claim: {
      externalId: first.externalId,
      rows: sorted.map((row) => row.row),
      ...identityOf(stating),
      status: sorted.some((row) => row.status === 'left') ? 'left' : 'active',
      groups,
      removed: [...removed].sort((a, b) => a - b),
    },
    rejections: [],
    repeated,
  };
}

/** What a row says that is a learner's only one, as nearly all are. */
function claimOf(row: ResolvedRow): Claim {
  const { groupIds } = row;
  const ids = isAscending(groupIds) ? groupIds : [...new Set(groupIds)].sort((a, b) => a - b);
  const adds = row.action === 'add';
  const windows = adds && ids.length > 0 ? uniteWindows([row.window]) : [];
  const claim: Writable<Claim> = {
    externalId: row.externalId,
    rows: [row.row],
    attributes: adds ? row.attributes : {},
    status: row.status,
    groups: adds ? ids.map((group) => ({ group, windows })) : [],
    removed: adds ? [] : ids,
  };
  if (adds) for (const key of TEXTS) if (row[key] !== undefined) claim[key] = row[key];
  return claim;
}

function isAscending(ids: readonly GroupId[]): boolean {
  for (let at = 1; at < ids.length; at += 1) if ((ids[at - 1] as GroupId) >= (ids[at] as GroupId)) return false;
  return true;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

const TEXTS = ['email', 'firstName', 'lastName'] as const;

/** The rows' texts together: where one row is silent (empty), another may speak. */
function identityOf(rows: readonly ResolvedRow[]): Pick<Claim, 'email' | 'firstName' | 'lastName' | 'attributes'> {
  const texts: { email?: string; firstName?: string; lastName?: string } = {};
  const attributes = new Map<string, string>();
  for (const row of rows) {
    for (const key of TEXTS) {
      const value = row[key];
      if (value !== undefined) texts[key] = texts[key] || value;
    }
    for (const [key, value] of Object.entries(row.attributes)) attributes.set(key, attributes.get(key) || value);
  }
  return { ...texts, attributes: Object.fromEntries(attributes) };
}

/** Name of the first field about which the rows disagree; an empty cell disagrees with nothing. */
function conflictOf(rows: readonly ResolvedRow[]): string | undefined {
  const said = new Map<string, string>();
  const disagrees = (field: string, value: string | undefined) => {
    if (!value) return false;
    const before = said.get(field);
    said.set(field, value);
    return before !== undefined && before !== value;
  };
  for (const row of rows) {
    for (const key of TEXTS) if (disagrees(key, row[key])) return key;
    for (const [key, value] of Object.entries(row.attributes)) if (disagrees(`attribute ${key}`, value)) return key;
    if (disagrees('status', row.status)) return 'status';
  }
  return undefined;
}

function conflictRejection(row: ResolvedRow, field: string): Rejection {
  return {
    row: row.row,
    code: 'conflicting-rows',
    message: `The rows of learner ${row.externalId} disagree on ${field}; none of them was used. Make the feed's rows agree.`,
    externalId: row.externalId,
    groups: row.groups.map((group) => group.externalId),
  };
}

function keyOf(row: ResolvedRow): string {
  const attributes = Object.entries(row.attributes).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([
    row.action,
    row.status,
    row.email,
    row.firstName,
    row.lastName,
    attributes,
    [...row.groupIds].sort((a, b) => a - b),
    row.window.from,
    row.window.until,
  ]);
}
