import { createHash } from 'node:crypto';
import type { RunId } from '../domain/ids.ts';
import type { AuditDoc, BatchDoc, BatchId } from './models.ts';
import { type Session, type Store, within } from './store.ts';

/** Writes an entry in the session's transaction; one that is there already stays as it is. */
export async function recordAudit(store: Store, session: Session, { _id, ...entry }: AuditDoc): Promise<void> {
  await store.audit.updateOne({ _id }, { $setOnInsert: entry }, { session, upsert: true });
}

/** A person's decision about a run: approved, rejected, cancelled. */
export function recordDecision(
  store: Store,
  session: Session,
  {
    run,
    step,
    ...entry
  }: { run: RunId; step: 'approved' | 'rejected' | 'cancelled'; by: string; why: string; at: Date },
): Promise<void> {
  return recordAudit(store, session, { _id: { run, batch: 0, step }, ...entry, learners: [], counts: {} });
}

/** Entries sealed in one transaction. */
const AT_ONCE = 50;
const UNSEALED = { seq: null } as never;

/**
 * Gives the oldest entries that are not sealed yet their places in the chain: number and hash, each hash over the one
 * before it, and of an applied batch the digest of its changes. Any number of callers is harmless: the head is written
 * in the same transaction, so that of two the later begins again. Returns how many were sealed.
 */
export async function sealAudit(store: Store): Promise<number> {
  if (!(await store.audit.findOne(UNSEALED, { projection: { _id: 1 } }))) return 0;
  return store.transaction(async (session) => {
    const head = await store.meta.findOne({ _id: 'audit' }, { session });
    const entries = await store.audit.find(UNSEALED, { session }).sort({ at: 1, _id: 1 }).limit(AT_ONCE).toArray();
    if (entries.length === 0) return 0;
    const contents = await batchContents(store, entries.filter(hasContent).map(batchOf));
    let seq = head?.next ?? 0;
    let hash = head?.hash ?? '';
    const writes = entries.map((entry) => {
      seq += 1;
      const content = hasContent(entry) ? contents.get(keyOf(entry._id)) : undefined;
      const sealed = { ...entry, seq, ...(content && { content }) };
      hash = hashOf(hash, sealed);
      const update = { $set: { seq, hash, ...(content && { content }) } };
      return { updateOne: { filter: { _id: entry._id }, update } };
    });
    await store.audit.bulkWrite(writes, { session, ordered: false });
    await store.meta.updateOne({ _id: 'audit' }, { $set: { next: seq, hash } }, { session, upsert: true });
    return entries.length;
  });
}

/** A place where the chain is not what was sealed. */
export interface ChainBreak {
  /** Number of the entry in the chain, from 1. */
  readonly seq: number;
  /** `changed`: the entry; `batch`: the changes that it says were applied; `missing`, `inserted`: an entry. */
  readonly what: 'changed' | 'batch' | 'missing' | 'inserted';
  /** The entry, `RUN/BATCH/STEP`; null where it is missing. */
  readonly entry: string | null;
}

export interface ChainState {
  readonly sealed: number;
  /** Entries not sealed yet. */
  readonly unsealed: number;
  /** The hash that stands for all of them: kept elsewhere, it proves that nobody made the chain anew. */
  readonly head: string | null;
  readonly breaks: readonly ChainBreak[];
}

/** Goes through the whole chain and finds every place where an entry was changed, taken away or put in. */
export async function verifyAudit(store: Store): Promise<ChainState> {
  const readHead = () => store.meta.findOne({ _id: 'audit' });
  const first = await readHead();
  let head = first;
  const breaks: ChainBreak[] = [];
  let last = 0;
  let hash = '';
  let trusted = true;
  for await (const same of bySeq(store)) {
    const [one] = same;
    if (!one) continue;
    const seq = one.seq as number;
    // Others seal while this goes on.
    if (seq > (head?.next ?? 0)) head = await readHead();
    if (seq > last + 1) {
      breaks.push({ seq: last + 1, what: 'missing', entry: null });
      trusted = false;
    }
    const fits = trusted ? same.find((entry) => hashOf(hash, entry) === entry.hash) : one;
    const kept = fits ?? one;
    if (seq > (head?.next ?? 0)) breaks.push({ seq, what: 'inserted', entry: nameOfEntry(kept) });
    else if (!fits) breaks.push({ seq, what: 'changed', entry: nameOfEntry(kept) });
    for (const entry of same) if (entry !== kept) breaks.push({ seq, what: 'inserted', entry: nameOfEntry(entry) });
    hash = kept.hash ?? '';
    last = seq;
    trusted = true;
  }
  const end = head?.next ?? 0;
  if (last < (first?.next ?? 0)) breaks.push({ seq: last + 1, what: 'missing', entry: null });
  else if (last === end && hash !== (head?.hash ?? '')) breaks.push({ seq: last, what: 'changed', entry: null });
  breaks.push(...(await alteredBatches(store)));
  const unsealed = await store.audit.countDocuments(UNSEALED);
  return { sealed: end, unsealed, head: head?.hash ?? null, breaks: breaks.sort((a, b) => a.seq - b.seq) };
}

/** Sealed entries by number; more than one of a number where one was put in. */
async function* bySeq(store: Store): AsyncGenerator<AuditDoc[]> {
  let same: AuditDoc[] = [];
  for await (const entry of store.audit.find({ seq: { $gt: 0 } }).sort({ seq: 1, at: 1 })) {
    if (same.length > 0 && same[0]?.seq !== entry.seq) {
      yield same;
      same = [];
    }
    same.push(entry);
  }
  if (same.length > 0) yield same;
}

/** Batches whose changes are not what was applied. What an erasure has taken out of them stands in its own entry. */
async function alteredBatches(store: Store): Promise<ChainBreak[]> {
  const told = await erasedContents(store);
  const breaks: ChainBreak[] = [];
  let some: AuditDoc[] = [];
  const check = async () => {
    const suspects = await differing(store, some, told);
    // An erasure may have come between: batches and entries are then looked at as of one moment.
    const altered =
      suspects.length === 0
        ? []
        : await store.transaction(async (session) =>
            differing(store, suspects, await erasedContents(store, session), session),
          );
    for (const entry of altered) breaks.push({ seq: entry.seq as number, what: 'batch', entry: nameOfEntry(entry) });
    some = [];
  };
  for await (const entry of store.audit.find({ seq: { $gt: 0 }, content: { $exists: true } }).sort({ seq: 1 })) {
    some.push(entry);
    if (some.length === AT_ONCE) await check();
  }
  await check();
  return breaks;
}

/** The entries whose batch is neither what they say, nor what erasures made of that. */
async function differing(
  store: Store,
  entries: readonly AuditDoc[],
  told: Told,
  session?: Session,
): Promise<AuditDoc[]> {
  const now = await batchContents(store, entries.map(batchOf), session);
  return entries.filter(({ _id, content }) => now.get(keyOf(_id)) !== latest(content, told.get(keyOf(_id))));
}

/** Batch → what it was before an erasure → what it is since. Steps, since erasures of several people overtake each other. */
type Told = ReadonlyMap<string, ReadonlyMap<string, string>>;

async function erasedContents(store: Store, session?: Session): Promise<Told> {
  const told = new Map<string, Map<string, string>>();
  for await (const { detail } of store.audit.find({ 'detail.contents': { $exists: true } }, within(session))) {
    for (const { was, content, ...id } of (detail as ErasedContents).contents) {
      const steps = told.get(keyOf(id)) ?? new Map<string, string>();
      told.set(keyOf(id), steps.set(was, content));
    }
  }
  return told;
}

function latest(content: string | undefined, steps: ReadonlyMap<string, string> | undefined): string | undefined {
  const seen = new Set<string>();
  let now = content;
  for (let next = now; next !== undefined && !seen.has(next); next = steps?.get(next)) {
    seen.add(next);
    now = next;
  }
  return now;
}

/** What an erasure says in the audit: the digests of the batches from which it took somebody out, before and after. */
export interface ErasedContents {
  readonly contents: readonly (BatchId & { readonly was: string; readonly content: string })[];
}

/** SHA-256, hex, of the stored bytes of these batches, by `RUN/BATCH`. */
export async function batchContents(
  store: Store,
  ids: readonly BatchId[],
  session?: Session,
): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  if (ids.length === 0) return found;
  const batches = store.batches
    .find<Uint8Array>({ _id: { $in: ids as BatchId[] } } as never, { raw: true, ...within(session) })
    .sort({ _id: 1 });
  const names = await store.batches
    .find<Pick<BatchDoc, '_id'>>({ _id: { $in: ids as BatchId[] } } as never, {
      projection: { _id: 1 },
      ...within(session),
    })
    .sort({ _id: 1 })
    .toArray();
  let at = 0;
  for await (const bytes of batches) {
    const id = names[at]?._id;
    at += 1;
    if (id) found.set(keyOf(id), createHash('sha256').update(bytes).digest('hex'));
  }
  return found;
}

function hasContent({ _id }: AuditDoc): boolean {
  return _id.step === 'apply';
}

function batchOf({ _id: { run, batch } }: AuditDoc): BatchId {
  return { run, batch };
}

export function keyOf({ run, batch }: BatchId): string {
  return `${run}/${batch}`;
}

/** Unlike that of any other entry. */
export function nameOfEntry({ _id }: AuditDoc): string {
  return `${keyOf(_id)}/${_id.step}`;
}

function hashOf(before: string, { hash: _, ...entry }: AuditDoc): string {
  return createHash('sha256')
    .update(`${before}\n${canonical(entry)}`)
    .digest('hex');
}

/** JSON with keys in order, so that one content has one text. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    part !== null && typeof part === 'object' && !Array.isArray(part) && !(part instanceof Date)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
