import type { Rejection, RowClaim } from '../domain/claim.ts';
import { type Person, withoutPerson } from '../domain/erase.ts';
import { emailKey, type LearnerId, type RunId } from '../domain/ids.ts';
import { keptRows } from '../feed/kept.ts';
import { withoutLearners } from '../feed/rows/table.ts';
import { batchContents, type ErasedContents, keyOf } from '../store/auditChain.ts';
import { readFeedDoc, settingsOf } from '../store/feeds.ts';
import type { BatchDoc, BatchId, ErasureDoc, RejectedDoc, RunDoc } from '../store/models.ts';
import { readRun } from '../store/runs.ts';
import type { Services } from '../store/services.ts';
import type { Store } from '../store/store.ts';
import { FORMAT } from '../store/tables.ts';
import { chunks } from './chunks.ts';
import { CHANGES } from './history.ts';
import type { Outcome } from './outcome.ts';
import { storedLayout } from './views/rejectedView.ts';

/** Batches altered in one transaction. */
const AT_ONCE = 20;

/** Batches of plans in which the person, or a text of theirs, stands. */
export async function tracesInBatches(store: Store, person: Person): Promise<BatchId[]> {
  const found: BatchId[] = [];
  for await (const batch of store.batches.find(mentions(person) as never, { collation: CASELESS })) {
    if ((await scrubbed(store, batch, person)) !== batch.changes) found.push(batch._id);
  }
  return found;
}

/**
 * Takes the person out of these batches, and says in the audit what the batches are from then on, so that the chain can
 * still be proved (docs/decisions/0033-erasure.md).
 */
export async function scrubBatches(
  { store, clock }: Services,
  { _id: run, by, learner, person }: ErasureDoc & { person: Person },
  ids: readonly BatchId[],
): Promise<void> {
  for (const some of chunks(ids, AT_ONCE)) {
    await store.transaction(async (session) => {
      const before = await batchContents(store, some, session);
      for (const batch of await store.batches.find({ _id: { $in: some } } as never, { session }).toArray()) {
        const changes = [...(await scrubbed(store, batch, person))];
        await store.batches.updateOne({ _id: batch._id }, { $set: { changes } }, { session });
      }
      const now = await batchContents(store, some, session);
      const contents = some
        .map((id) => ({ ...id, was: before.get(keyOf(id)) ?? '', content: now.get(keyOf(id)) ?? '' }))
        .filter(({ was, content }) => was !== content);
      if (contents.length === 0) return;
      const detail: ErasedContents = { contents };
      const number = await store.audit.countDocuments(
        { _id: { $gte: { run, batch: 0, step: '' }, $lt: { run, batch: Number.MAX_SAFE_INTEGER, step: '' } } },
        { session },
      );
      const entry = { at: clock.now(), by, why: 'learners erase', learners: [learner], detail, counts: {} };
      await store.audit.insertOne({ _id: { run, batch: number, step: 'erase' }, ...entry }, { session });
    });
  }
}

/** Letter case does not tell addresses apart; what else that finds is sorted out afterwards. */
const CASELESS = { locale: 'en', strength: 2 };

function mentions({ learners, externalIds, emails }: Person) {
  const texts = [...externalIds, ...emails];
  return {
    $or: [
      { 'changes.learner': { $in: learners } },
      { 'changes.create.externalId': { $in: externalIds } },
      { 'changes.create.email': { $in: emails } },
      { 'changes.fields.before': { $in: texts } },
      { 'changes.fields.after': { $in: texts } },
    ],
  };
}

async function scrubbed(
  store: Store,
  { _id, changes }: BatchDoc,
  person: Person,
): Promise<readonly BatchDoc['changes'][number][]> {
  const { run, batch } = _id;
  const entries = await store.audit
    .find({ _id: { $gte: { run, batch, step: '' }, $lt: { run, batch: batch + 1, step: '' } } })
    .toArray();
  const done = entries.filter((entry) => CHANGES.test(entry._id.step));
  const theirs = done.some((entry) => entry.learners.some((id) => person.learners.includes(id)));
  return withoutPerson(changes, person, { theirs, others: done.length > 0 });
}

export interface RejectedTraces {
  /** Rows of the person: they go. */
  readonly rows: readonly RejectedDoc['_id'][];
  /** Rows of others whose message names the person. */
  readonly messages: readonly { readonly _id: RejectedDoc['_id']; readonly message: string }[];
}

/** Rejected rows that are the person's, or whose message names the person. */
export async function tracesInRejected(store: Store, person: Person): Promise<RejectedTraces> {
  const rows: RejectedDoc['_id'][] = [];
  const messages: { _id: RejectedDoc['_id']; message: string }[] = [];
  const names = namer(person);
  for await (const { doc, isTheirs } of rejectedRows(store, person, names)) {
    if (isTheirs) rows.push(doc._id);
    else if (names.isIn(doc.message)) messages.push({ _id: doc._id, message: names.without(doc.message) });
  }
  return { rows, messages };
}

/** The person's rejected rows, as the file had them. */
export async function rejectedOf(store: Store, person: Person) {
  const found: { run: RunId; row: number; reason: string; text: string }[] = [];
  for await (const { doc, isTheirs, text } of rejectedRows(store, person, namer(person))) {
    const { run, row } = doc._id;
    if (isTheirs) found.push({ run, row, reason: doc.message, text });
  }
  return found;
}

async function* rejectedRows(store: Store, person: Person, names: ReturnType<typeof namer>) {
  let reader: { run: RunId; read: RowReader } | undefined;
  for await (const doc of store.rejected.find({}, { promoteBuffers: true }).sort({ _id: 1 })) {
    const { run, row } = doc._id;
    if (reader?.run !== run) reader = { run, read: await readerOf(store, run) };
    const found = reader.read(doc.bytes, row);
    const theirs = isTheirs(person, found.row) || names.isIn(found.text, found.row?.externalId !== undefined);
    yield { doc, isTheirs: theirs, text: found.text };
  }
}

export async function scrubRejected(store: Store, { rows, messages }: RejectedTraces): Promise<void> {
  for (const some of chunks(rows, 1_000)) await store.rejected.deleteMany({ _id: { $in: some } });
  for (const { _id, message } of messages) await store.rejected.updateOne({ _id }, { $set: { message } });
}

type RowReader = (bytes: Uint8Array, row: number) => { row: RowClaim | Rejection | undefined; text: string };

/** Understands the run's rows by its feed's settings; where those are gone or do not fit any more, as text alone. */
async function readerOf(store: Store, id: RunId): Promise<RowReader> {
  const run = await readRun(store, id);
  const feed = run?.feed ? await readFeedDoc(store, run.feed) : null;
  const layout = run ? storedLayout(run) : undefined;
  const text = run?.settings ?? feed?.text;
  const asText: RowReader = (bytes) => ({ row: undefined, text: Buffer.from(bytes).toString('utf8') });
  if (!layout || text === undefined) return asText;
  try {
    const read = keptRows(settingsOf({ _id: run?.feed ?? '', text }), layout);
    return (bytes, row) => read(bytes, row);
  } catch {
    return asText;
  }
}

/** A row of a feed that is the person's. */
export function isTheirs({ externalIds, emails }: Person, row: RowClaim | Rejection | undefined): boolean {
  if (!row) return false;
  const { externalId, email } = row;
  return (
    (externalId !== undefined && externalIds.includes(externalId)) || (!!email && emails.includes(emailKey(email)))
  );
}

/** Finds what the person is called in messages, and takes it out. */
function namer({ externalIds, emails }: Person) {
  const escaped = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  // `Row 7` is no External ID.
  const anyOf = (texts: readonly string[]) =>
    texts.length === 0
      ? undefined
      : new RegExp(`(?<![\\p{L}\\p{N}]|[Rr]ow )(?:${texts.map(escaped).join('|')})(?![\\p{L}\\p{N}])`, 'giu');
  const [mails, all] = [anyOf(emails), anyOf([...emails, ...externalIds])];
  return {
    isIn: (text: string, mailsAlone = false) => text.search((mailsAlone ? mails : all) ?? /(?!)/) >= 0,
    without: (text: string) => (all ? text.replace(all, '(erased)') : text),
  };
}

/** Takes the person out of what runs say of themselves: messages about rows, and addresses that changed hands. */
export async function scrubRuns(store: Store, person: Person): Promise<void> {
  const names = namer(person);
  const told = {
    $or: [
      { 'outcome.problems.0': { $exists: true } },
      { 'outcome.releases.0': { $exists: true } },
      { error: { $exists: true } },
    ],
  };
  for await (const run of store.runs.find(told as never, { projection: { error: 1, outcome: 1 } })) {
    const set = scrubbedRun(run, person, names);
    if (set) await store.runs.updateOne({ _id: run._id }, { $set: set as never });
  }
}

function scrubbedRun(
  { outcome, error }: Pick<RunDoc, 'outcome' | 'error'>,
  { learners, emails }: Person,
  names: ReturnType<typeof namer>,
): Record<string, unknown> | undefined {
  const { problems = [], releases = [] } = (outcome ?? {}) as Partial<Outcome>;
  const set: Record<string, unknown> = {};
  if (problems.some(({ message }) => names.isIn(message)))
    set['outcome.problems'] = problems.map((one) => ({ ...one, message: names.without(one.message) }));
  const left = releases.filter((one) => !learners.includes(one.learner) && !emails.includes(one.emailKey));
  if (left.length < releases.length) set['outcome.releases'] = left;
  if (error && names.isIn(error.message)) set['error.message'] = names.without(error.message);
  return Object.keys(set).length > 0 ? set : undefined;
}

/** Answers that were kept for a request to be repeated: a repetition is told that what it was about is gone. */
export async function scrubAnswers(store: Store, person: Person): Promise<void> {
  const names = namer(person);
  const gone = {
    status: 410,
    type: 'application/problem+json',
    body: JSON.stringify({
      type: 'urn:muster:erased',
      title: 'Gone',
      status: 410,
      detail: 'The answer to this request named a person who was erased since. It was done, and is not done again.',
    }),
  };
  for await (const { _id, answer } of store.idempotency.find({ answer: { $exists: true } })) {
    const called = [...person.externalIds, ...person.learners.map((id) => `id:${id}`)];
    const theirs = called.some((text) => answer?.body.includes(JSON.stringify(text)));
    if (answer && (theirs || names.isIn(answer.body, true)))
      await store.idempotency.updateOne({ _id }, { $set: { answer: gone } });
  }
}

/** Takes the person's rows out of the packed tables: what is left is not even a hash. Tables of an older version, which nobody reads, go. */
export async function scrubTables(store: Store, learners: readonly LearnerId[]): Promise<void> {
  const theirs = new Set<number>(learners);
  await store.tables.deleteMany({ format: { $ne: FORMAT } });
  for await (const { _id, bytes } of store.tables.find({}, { promoteBuffers: true })) {
    const left = withoutLearners(bytes, theirs);
    if (left.length < bytes.length) await store.tables.updateOne({ _id }, { $set: { bytes: left } });
  }
}
