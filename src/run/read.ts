import type { Claim, Rejection, RowClaim } from '../domain/claim.ts';
import type { ExternalId, GroupId, LearnerId } from '../domain/ids.ts';
import type { FeedPolicy } from '../domain/policy.ts';
import type { Structure } from '../domain/structure.ts';
import { type ResolvedRow, uniteRows } from '../domain/unite.ts';
import type { FeedReader } from '../feed/reader.ts';
import { type RowTable } from '../feed/rows/table.ts';
import { RowMap } from './rowMap.ts';

export interface NewGroup {
  readonly externalId: ExternalId;
  readonly name: string;
  readonly parent?: ExternalId;
}

export interface ReadInput {
  readonly reader: FeedReader;
  readonly policy: FeedPolicy;
  readonly structure: Structure;
  /** Key of the row hashes, 16 bytes. */
  readonly hashKey: Uint8Array;
  /** Rows of the last applied run, where they are understood today as they were then. */
  readonly known: RowTable | undefined;
  /** Learners at whom to look though their rows are as they were (R21). */
  readonly lookAgain: readonly LearnerId[];
  /** Stored learners by External ID, as far as there are any. */
  readonly idsOf: (ids: readonly ExternalId[]) => Promise<ReadonlyMap<ExternalId, LearnerId>>;
  /** Gives out ids for groups that the feed makes (R19). */
  readonly newGroupIds: (count: number) => Promise<GroupId[]>;
}

/** What tonight's file says that last night's did not, and whose rows are gone. */
export interface Reading {
  readonly sha256: string;
  readonly rows: { readonly read: number; readonly repeated: number };
  /** Claims of every learner with a new, lost or re-examined row; all rows of the learner in it. */
  readonly claims: Map<ExternalId, Claim>;
  readonly rejections: Rejection[];
  /** Learners of the last applied run of whom a row is gone (they may have other rows). */
  readonly lost: ReadonlySet<LearnerId>;
  readonly newGroups: ReadonlyMap<GroupId, NewGroup>;
  /** Hash and learner of each data row; rows of new claims have no learner yet. */
  readonly rowMap: RowMap;
  /** Number of the first data row. */
  readonly firstRow: number;
}

/**
 * Bytes to claims. Rows with a known hash are not decoded (change detection); without `known`, every row is.
 * Nothing is written. Throws what the reader throws where the file cannot be read to its end (R16).
 */
export async function readClaims(input: ReadInput): Promise<Reading> {
  const { reader, hashKey, known } = input;
  const matcher = known?.matcher();
  const rowMap = new RowMap();
  const byLearner = new Map<ExternalId, RowClaim[]>();
  const rejections: Rejection[] = [];
  let read = 0;
  let first = 2;
  let repeated = 0;
  let matches = new Int32Array(0);
  let knownRows = 0;

  const take = (results: readonly (RowClaim | Rejection)[]) => {
    for (const result of results) {
      if ('code' in result) rejections.push(result);
      else addTo(byLearner, result.externalId as ExternalId, result);
    }
  };

  for await (const { rows, firstRow } of reader.rows(hashKey)) {
    if (rowMap.length === 0) first = firstRow;
    if (matches.length < rows.count) matches = new Int32Array(rows.count * 2);
    const fresh: number[] = [];
    if (matcher) matcher.match(rows, matches);
    for (let at = 0; at < rows.count; at += 1) {
      const match = matcher ? (matches[at] as number) : -1;
      const index = rowMap.add(rows.hashLow[at] as number, rows.hashHigh[at] as number, 0);
      if (match >= 0 && known) {
        rowMap.assign(index, known.learner(match) as LearnerId);
        rowMap.setFlags(index, known.flags(match));
        repeated += known.flags(match) & 1;
        knownRows += 1;
        read += 1;
      } else if ((rows.start[at] as number) < (rows.end[at] as number)) {
        fresh.push(at);
        read += 1;
      }
    }
    if (fresh.length > 0) take(reader.parse(rows, fresh, firstRow));
  }
  const { sha256 } = reader;

  const lost = new Set<LearnerId>();
  if (matcher && known) for (const at of matcher.unmatched()) lost.add(known.learner(at) as LearnerId);
  if (known && knownRows > 0) {
    const dirty = new Set<LearnerId>([...lost, ...input.lookAgain]);
    const named = [...byLearner.keys(), ...rejections.flatMap(({ externalId }) => externalId ?? [])];
    for (const id of (await input.idsOf(named)).values()) dirty.add(id);
    const wanted = otherRows(rowMap, dirty);
    if (wanted) {
      repeated -= forget(rowMap, wanted);
      await readAgain(reader, hashKey, wanted, first, take);
    }
  }

  const newGroups = await plannedGroups(input, byLearner);
  const claims = new Map<ExternalId, Claim>();
  const groupIds = new Map([...newGroups].map(([id, group]) => [group.externalId, id]));
  for (const [externalId, rowClaims] of byLearner) {
    const resolved: ResolvedRow[] = [];
    for (const row of rowClaims) {
      const result = resolve(row, externalId, input, groupIds);
      if ('code' in result) rejections.push(result);
      else resolved.push(result);
    }
    const united = uniteRows(resolved);
    rejections.push(...united.rejections);
    repeated += united.repeated.length;
    for (const row of united.repeated) rowMap.setFlags(row - first, 1);
    if (united.claim) claims.set(externalId, united.claim);
    byLearner.delete(externalId);
  }
  return { sha256, rows: { read, repeated }, claims, rejections, lost, newGroups, rowMap, firstRow: first };
}

function addTo<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}

/** Indexes of known rows whose learner must be looked at: a learner's claim is the union of all of his rows. */
function otherRows(rowMap: RowMap, dirty: ReadonlySet<LearnerId>): Uint8Array | undefined {
  let found: Uint8Array | undefined;
  if (dirty.size === 0) return found;
  for (let at = 0; at < rowMap.length; at += 1) {
    const learner = rowMap.learner(at);
    if (learner === 0 || !dirty.has(learner)) continue;
    found ??= new Uint8Array(rowMap.length);
    found[at] = 1;
  }
  return found;
}

/** Rows that are read again lose what was known of them. Returns how many of them were repeated ones. */
function forget(rowMap: RowMap, wanted: Uint8Array): number {
  let repeated = 0;
  for (let at = 0; at < wanted.length; at += 1) {
    if (wanted[at] === 0) continue;
    repeated += rowMap.flags(at) & 1;
    rowMap.assign(at, 0);
    rowMap.setFlags(at, 0);
  }
  return repeated;
}

async function readAgain(
  reader: FeedReader,
  hashKey: Uint8Array,
  wanted: Uint8Array,
  first: number,
  take: (results: readonly (RowClaim | Rejection)[]) => void,
): Promise<void> {
  for await (const { rows, firstRow } of reader.rows(hashKey)) {
    const chosen: number[] = [];
    for (let at = 0; at < rows.count; at += 1) if (wanted[firstRow - first + at] === 1) chosen.push(at);
    if (chosen.length > 0) take(reader.parse(rows, chosen, firstRow));
  }
}

/** Groups that rows name, that do not exist, and that the feed may create, each with an id (R19). */
async function plannedGroups(
  { policy, structure, newGroupIds }: ReadInput,
  rows: ReadonlyMap<ExternalId, readonly RowClaim[]>,
): Promise<Map<GroupId, NewGroup>> {
  if (policy.unknownGroup !== 'create') return new Map();
  const unknown = new Map<ExternalId, NewGroup>();
  const add = (group: NewGroup) => {
    if (structure.byExternalId(group.externalId)) return;
    const before = unknown.get(group.externalId);
    if (before && (before.name !== before.externalId || group.name === group.externalId)) return;
    unknown.set(group.externalId, { ...before, ...group });
  };
  for (const list of rows.values()) {
    for (const row of list) {
      if (row.action === 'remove' || row.status === 'left') continue;
      for (const { externalId, name, parent } of row.groups) {
        add({ externalId, name: name || externalId, ...(parent && parent !== externalId && { parent }) });
        if (parent) add({ externalId: parent, name: parent });
      }
    }
  }
  const list = [...unknown.values()].sort((a, b) => (a.externalId < b.externalId ? -1 : 1));
  const ids = await newGroupIds(list.length);
  return new Map(list.map((group, at) => [ids[at] as GroupId, group]));
}

function resolve(
  row: RowClaim,
  externalId: ExternalId,
  { structure }: ReadInput,
  newGroups: ReadonlyMap<ExternalId, GroupId>,
): ResolvedRow | Rejection {
  const groupIds: GroupId[] = [];
  for (const { externalId: named } of row.groups) {
    const id = structure.byExternalId(named)?.id ?? newGroups.get(named);
    if (id !== undefined) {
      groupIds.push(id);
      continue;
    }
    if (row.action === 'remove' || row.status === 'left') continue;
    const near = structure.nearMiss(named);
    const hint = near
      ? ` Group ${near.externalId} (${near.name}) differs by letter case or zeros alone; is it meant?`
      : ' Create the group with this External ID, or set `unknownGroup: create`.';
    return {
      row: row.row,
      code: 'unknown-group',
      message: `No group has the External ID ${named}; the row was not used and takes nothing away.${hint}`,
      externalId,
      ...(row.email && { email: row.email }),
      groups: row.groups.map((group) => group.externalId),
    };
  }
  return { ...row, externalId, groupIds };
}
