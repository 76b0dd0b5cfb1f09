import type { Claim, Rejection, RowClaim } from '../domain/claim.ts';
import type { ExternalId, GroupId, LearnerId } from '../domain/ids.ts';
import type { FeedPolicy } from '../domain/policy.ts';
import type { Structure } from '../domain/structure.ts';
import { type ResolvedRow, uniteRows } from '../domain/unite.ts';
import { isRejection } from '../feed/mapping.ts';
import type { ChunkOfRows, FeedReader } from '../feed/reader.ts';
import { RowCopies } from '../feed/rows/copies.ts';
import { IN_DOUBT, MOST_IN_DOUBT, NEW_ROW, type RowMatcher } from '../feed/rows/matcher.ts';
import type { Rows } from '../feed/rows/rows.ts';
import { REPEATED, type RowTable } from '../feed/rows/table.ts';
import type { ErasedPeople } from '../store/erasures.ts';
import { chunks } from './chunks.ts';
import { Crowd, type Named } from './crowd.ts';
import { GroupsToMake, type NewGroup } from './groupsToMake.ts';
import { HiddenRows } from './hidden.ts';
import { LearnerSet } from './learnerSet.ts';
import { Rejections } from './rejections.ts';
import { RowMap } from './rowMap.ts';

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
  /** External IDs of learners. */
  readonly namesOf: (ids: readonly LearnerId[]) => Promise<ReadonlyMap<ExternalId, LearnerId>>;
  /** Gives out ids for groups that the feed makes (R19). */
  readonly newGroupIds: (count: number) => Promise<GroupId[]>;
  /** Learners whose claims must be judged together, since one asks for the e-mail address of the other (R12). */
  readonly contested: (claims: readonly Named[]) => Promise<readonly ExternalId[]>;
  /** People whose rows are left out; undefined = nobody was erased. */
  readonly erased?: ErasedPeople | undefined;
  /** New rows that are held in memory at most (default 20,000); more are read once more instead. */
  readonly held?: number;
}

/** What tonight's file says that last night's did not, and whose rows are gone. */
export interface Reading {
  readonly sha256: string;
  readonly rows: { readonly read: number; readonly repeated: number };
  /**
   * Claims of learners with a new, lost or re-examined row; all rows of the learner in it. Where there are too many of
   * them, those of learners with one row and an address of their own come from `alone` instead.
   */
  readonly claims: Map<ExternalId, Claim>;
  /** The rest of the claims, in the order of the file, which is read for them once more. */
  readonly alone: () => AsyncIterable<Claim[]>;
  readonly rejections: Rejection[];
  /** Rows of people who were erased: they were left out, and protect and remove nobody. */
  readonly erased: number;
  /** Learners of the last applied run of whom a row is gone (they may have other rows). */
  readonly lost: LearnerSet;
  /** Rows were compared with those of the last applied run: a claim is news. Otherwise every row is one. */
  readonly compared: boolean;
  /** Nearly all rows are those of the last applied run, in whatever order: its table serves the next run as well as a new one. */
  readonly nearlyAsBefore: boolean;
  /** Learners whom the last applied run's table wants to be looked at again. */
  readonly marked: LearnerSet;
  /** Rows that the last applied run had not, as far as there are few of them. */
  readonly copies: RowCopies | undefined;
  /** A row of somebody from whom something may be taken away was taken for another's, as their hashes are the same. */
  readonly hidesRow: boolean;
  readonly newGroups: ReadonlyMap<GroupId, NewGroup>;
  /** Hash and learner of each data row; rows of new claims have no learner yet. */
  readonly rowMap: RowMap;
  /** Number of the first data row. */
  readonly firstRow: number;
}

/** All claims, a thousand or so at once; each is handed out and forgotten. */
export async function* claimsOf({ claims, alone }: Reading): AsyncGenerator<Claim[], void, undefined> {
  for (const ids of chunks([...claims.keys()], AT_ONCE)) {
    const some = ids.map((id) => claims.get(id) as Claim);
    for (const id of ids) claims.delete(id);
    yield some;
  }
  yield* alone();
}

/** Rows of which at most one is new or gone, for a table to be as good as new. */
const NEARLY = 100;
/** New rows that are held in memory at once; of more, only their hashes are. */
const HELD = 20_000;
/** Rows parsed, and claims handed out, at once. */
const AT_ONCE = 1_000;

/**
 * Bytes to claims. Rows with a known hash are not decoded (change detection); without `known`, every row is.
 * Nothing is written. Throws what the reader throws where the file cannot be read to its end (R16).
 */
export function readClaims(input: ReadInput): Promise<Reading> {
  return new Claiming(input).read();
}

class Claiming {
  readonly #in: Omit<ReadInput, 'known'>;
  readonly #known: RowTable | undefined;
  readonly #rejections: Rejections;
  readonly #groups: GroupsToMake;
  /** All rows so far, by learner; only those to be gathered where there is a crowd. */
  readonly #byLearner = new Map<ExternalId, RowClaim[]>();
  readonly #dirty: LearnerSet;
  readonly #erased = new Set<number>();
  readonly #most: number;
  #held = 0;
  #copies: RowCopies | undefined;
  #crowd: Crowd | undefined;
  #rowMap = new RowMap();
  #first = 2;
  #read = 0;
  #repeated = 0;

  constructor({ known, ...input }: ReadInput) {
    this.#in = input;
    this.#known = known;
    this.#most = input.held ?? HELD;
    this.#rejections = new Rejections(input.reader.name);
    this.#groups = new GroupsToMake(input.policy, input.structure);
    this.#dirty = new LearnerSet(input.lookAgain);
  }

  async read(): Promise<Reading> {
    const { reader } = this.#in;
    const known = this.#known;
    const matcher = known?.matcher();
    const knownRows = await this.#detect(matcher);
    const { sha256 } = reader;
    const gone = new Map<LearnerId, number>();
    const marked = new LearnerSet();
    for (const at of matcher?.unmatched() ?? []) {
      const learner = known?.learner(at) as LearnerId;
      gone.set(learner, (gone.get(learner) ?? 0) + 1);
      if (known?.isMark(at)) marked.add(learner);
    }
    const lost = new LearnerSet(gone.keys());
    const hidesRow = knownRows > 0 && (await this.#readDirty(lost, gone));
    const marks = this.#crowd?.gathered();
    if (marks) await this.#readAgain(marks, (claims) => this.#keep(claims));

    if (!this.#crowd) for (const rows of this.#byLearner.values()) for (const row of rows) this.#groups.add(row);
    const newGroups = await this.#groups.withIds(this.#in.newGroupIds);
    const groupIds = new Map([...newGroups].map(([id, group]) => [group.externalId, id]));
    const claims = this.#unite(groupIds);
    return {
      sha256,
      rows: { read: this.#read, repeated: this.#repeated },
      claims,
      alone: () => this.#alone(marks, groupIds),
      rejections: this.#rejections.list,
      erased: this.#erased.size,
      lost,
      compared: known !== undefined,
      nearlyAsBefore: known !== undefined && NEARLY * (this.#read - knownRows + lost.size) <= this.#read,
      marked,
      copies: this.#copies,
      hidesRow,
      newGroups,
      rowMap: this.#rowMap,
      firstRow: this.#first,
    };
  }

  /** The pass over all rows. Returns how many of them were known. */
  async #detect(matcher: RowMatcher | undefined): Promise<number> {
    const { reader, hashKey } = this.#in;
    let matches = new Int32Array(0);
    let knownRows = 0;
    let doubtful = new RowCopies();
    for await (const { rows, firstRow } of reader.rows(hashKey)) {
      if (this.#rowMap.length === 0) {
        this.#first = firstRow;
        const about = Math.ceil((rows.count * reader.bytes * 1.1) / Math.max(1, rows.end[rows.count - 1] ?? 1));
        this.#rowMap = new RowMap(about, this.#known);
        // Where every row is new and there are too many, none is held first.
        if (!matcher && about > this.#most) this.#crowd = new Crowd(about);
      }
      if (matches.length < rows.count) matches = new Int32Array(rows.count * 2);
      if (matcher) matcher.match(rows, matches);
      else matches.fill(NEW_ROW, 0, rows.count);
      this.#rowMap.append(rows, matches);
      const fresh: number[] = [];
      for (let at = 0; at < rows.count; at += 1) {
        const match = matches[at] as number;
        if (match >= 0) {
          this.#repeated += (this.#known as RowTable).flags(match) & REPEATED;
          knownRows += 1;
        } else if (rows.start[at] === rows.end[at]) continue;
        else if (match === IN_DOUBT) doubtful.add(rows, at, firstRow + at);
        else fresh.push(at);
      }
      for (const some of chunks(fresh, AT_ONCE)) await this.#readNew(rows, some, firstRow);
      if (matcher && doubtful.count > MOST_IN_DOUBT) {
        knownRows += await this.#settle(matcher, doubtful);
        doubtful = new RowCopies();
      }
    }
    if (matcher && doubtful.count > 0) knownRows += await this.#settle(matcher, doubtful);
    this.#copies = doubtful;
    this.#read += knownRows;
    return knownRows;
  }

  /** Rows that did not stand where they were looked for. Returns how many of them were known. */
  async #settle(matcher: RowMatcher, { rows, numbers }: RowCopies): Promise<number> {
    const matches = new Int32Array(rows.count);
    matcher.settle(rows, matches);
    const fresh: number[] = [];
    for (const [at, match] of matches.entries()) {
      if (match < 0) fresh.push(at);
      else {
        this.#rowMap.recognise((numbers[at] as number) - this.#first, match);
        this.#repeated += (this.#known as RowTable).flags(match) & REPEATED;
      }
    }
    for (const some of chunks(fresh, AT_ONCE)) await this.#readNew(rows, some, numbers);
    return rows.count - fresh.length;
  }

  async #readNew(rows: Rows, indexes: readonly number[], numbers: number | Uint32Array): Promise<void> {
    this.#read += indexes.length;
    await this.#take(await this.#parse(rows, indexes, numbers));
  }

  /** What the rows say, without those of people who were erased. */
  async #parse(
    rows: Rows,
    indexes: readonly number[],
    numbers: number | Uint32Array,
  ): Promise<(RowClaim | Rejection)[]> {
    const { reader, erased, idsOf } = this.#in;
    const results = reader.parse(rows, indexes, numbers);
    if (!erased) return results;
    const theirs = results.filter((result) => erased.match(result));
    // An address alone may be somebody else's by now: whoever is stored was not erased.
    const ids = theirs.flatMap((one) => (one.externalId && erased.match(one) === 'email' ? [one.externalId] : []));
    const stored = ids.length > 0 ? await idsOf(ids) : new Map<ExternalId, LearnerId>();
    const out = new Set(
      theirs.filter(({ externalId }) => !externalId || !stored.has(externalId)).map(({ row }) => row),
    );
    for (const row of out) this.#erased.add(row);
    return results.filter(({ row }) => !out.has(row));
  }

  async #take(results: readonly (RowClaim | Rejection)[]): Promise<void> {
    const claims = results.filter((result): result is RowClaim => !isRejection(result));
    this.#rejections.add(results.filter(isRejection));
    if (this.#crowd) return this.#join(this.#crowd, claims);
    this.#keep(claims);
    this.#held += claims.length;
    if (this.#held <= this.#most) return;
    const held = [...this.#byLearner.values()].flat();
    this.#byLearner.clear();
    this.#crowd = new Crowd(this.#rowMap.length);
    await this.#join(this.#crowd, held);
  }

  #keep(claims: readonly RowClaim[]): void {
    for (const claim of claims) {
      const key = claim.externalId as ExternalId;
      const list = this.#byLearner.get(key);
      if (list) list.push(claim);
      else this.#byLearner.set(key, [claim]);
    }
  }

  /** Rows that are not held: what must be known of all of them before any is planned. */
  async #join(crowd: Crowd, claims: readonly RowClaim[]): Promise<void> {
    const usable = claims.filter((claim): claim is RowClaim & Named => {
      const rejection = this.#groups.refuse(claim);
      if (rejection) this.#rejections.add([rejection]);
      else this.#groups.add(claim);
      return !rejection;
    });
    for (const claim of usable) crowd.add(claim.row - this.#first, claim);
    for (const externalId of await this.#in.contested(usable)) crowd.gather(externalId);
    if (!this.#known) return;
    const named = claims.map(({ externalId }) => externalId as ExternalId);
    for (const id of (await this.#in.idsOf(named)).values()) this.#dirty.add(id);
  }

  /**
   * Known rows of learners at whom to look: a learner's claim is the union of all of his rows. Returns whether a row is
   * hidden of those of whom fewer rows have come than gone, the only ones from whom something may be taken away.
   */
  async #readDirty(lost: LearnerSet, gone: ReadonlyMap<LearnerId, number>): Promise<boolean> {
    const { reader, idsOf, namesOf } = this.#in;
    const dirty = this.#dirty;
    for (const id of lost) dirty.add(id);
    const fewer = new Set(gone.keys());
    const rejected = new Set(this.#rejections.list.flatMap(({ externalId }) => externalId ?? []));
    for (const [externalId, id] of await idsOf([...this.#byLearner.keys(), ...rejected])) {
      dirty.add(id);
      const came = this.#byLearner.get(externalId)?.length ?? 0;
      // From whom a rejected row names nothing is taken away (R15).
      if (came >= (gone.get(id) ?? 0) || rejected.has(externalId)) fewer.delete(id);
    }
    const names = fewer.size > 0 ? await namesOf([...fewer]) : new Map<ExternalId, LearnerId>();
    const wanted = otherRows(this.#rowMap, dirty);
    if (wanted) this.#repeated -= forget(this.#rowMap, wanted);
    else if (names.size === 0) return false;
    const hidden = new HiddenRows(reader, this.#rowMap, this.#first, names);
    const look = names.size > 0 ? (chunk: ChunkOfRows) => hidden.look(chunk) : undefined;
    await this.#readAgain(wanted, (claims, rejections) => this.#take([...rejections, ...claims]), look);
    return hidden.found;
  }

  /** Reads the file once more and parses the rows that are marked with 1. `look`: sees every chunk before. */
  async #readAgain(
    marks: Uint8Array | undefined,
    take: (claims: RowClaim[], rejections: Rejection[]) => Promise<void> | void,
    look?: (chunk: ChunkOfRows) => void,
  ): Promise<void> {
    const { reader } = this.#in;
    for await (const chunk of reader.rows()) {
      look?.(chunk);
      if (!marks) continue;
      const { rows, firstRow } = chunk;
      const chosen: number[] = [];
      for (let at = 0; at < rows.count; at += 1) if (marks[firstRow - this.#first + at] === 1) chosen.push(at);
      for (const some of chunks(chosen, AT_ONCE)) {
        const claims: RowClaim[] = [];
        const rejections: Rejection[] = [];
        for (const result of await this.#parse(rows, some, firstRow)) {
          if (isRejection(result)) rejections.push(result);
          else claims.push(result);
        }
        await take(claims, rejections);
      }
    }
  }

  #unite(groupIds: ReadonlyMap<ExternalId, GroupId>): Map<ExternalId, Claim> {
    const claims = new Map<ExternalId, Claim>();
    for (const [externalId, rowClaims] of this.#byLearner) {
      const resolved: ResolvedRow[] = [];
      for (const row of rowClaims) {
        const rejection = this.#groups.refuse(row);
        if (rejection) this.#rejections.add([rejection]);
        else resolved.push(this.#resolved(row, groupIds));
      }
      const united = uniteRows(resolved);
      this.#rejections.add(united.rejections);
      this.#repeated += united.repeated.length;
      for (const row of united.repeated) this.#rowMap.setFlags(row - this.#first, REPEATED);
      if (united.claim) claims.set(externalId, united.claim);
      this.#byLearner.delete(externalId);
    }
    return claims;
  }

  async *#alone(
    gathered: Uint8Array | undefined,
    groupIds: ReadonlyMap<ExternalId, GroupId>,
  ): AsyncGenerator<Claim[], void, undefined> {
    const crowd = this.#crowd;
    if (!crowd) return;
    const { reader } = this.#in;
    for await (const { rows, firstRow } of reader.rows()) {
      const chosen: number[] = [];
      for (let at = 0; at < rows.count; at += 1) {
        const place = firstRow - this.#first + at;
        if (crowd.has(place) && gathered?.[place] !== 1) chosen.push(at);
      }
      for (const some of chunks(chosen, AT_ONCE)) {
        const claims: Claim[] = [];
        for (const row of reader.parse(rows, some, firstRow)) {
          if (isRejection(row)) continue;
          const { claim } = uniteRows([this.#resolved(row, groupIds)]);
          if (claim) claims.push(claim);
        }
        yield claims;
      }
    }
  }

  #resolved(row: RowClaim, newGroups: ReadonlyMap<ExternalId, GroupId>): ResolvedRow {
    const { structure } = this.#in;
    const groupIds: GroupId[] = [];
    for (const { externalId } of row.groups) {
      const id = structure.byExternalId(externalId)?.id ?? newGroups.get(externalId);
      if (id !== undefined) groupIds.push(id);
    }
    return { ...row, externalId: row.externalId as ExternalId, groupIds };
  }
}

/** Indexes of known rows whose learner must be looked at: a learner's claim is the union of all of his rows. */
function otherRows(rowMap: RowMap, dirty: LearnerSet): Uint8Array | undefined {
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
    repeated += rowMap.flags(at) & REPEATED;
    rowMap.assign(at, 0);
    rowMap.setFlags(at, 0);
  }
  return repeated;
}
