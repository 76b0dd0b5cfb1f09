import type { Person } from '../domain/erase.ts';
import { NotFound, NotNow, UsageError } from '../domain/errors.ts';
import { type ExternalId, emailKey, externalId, type LearnerId, type RunId } from '../domain/ids.ts';
import type { Learner } from '../domain/learner.ts';
import { recordAudit } from '../store/auditChain.ts';
import { newRunId } from '../store/counters.ts';
import { keysOf, liftKeys, readSecret } from '../store/erasures.ts';
import { learnersByEmail, learnersByExternalId, learnersById } from '../store/learners.ts';
import type { ErasureDoc, RunDoc } from '../store/models.ts';
import { insertEnded } from '../store/runs.ts';
import type { Services } from '../store/services.ts';
import type { Session, Store } from '../store/store.ts';
import { HeldByFeeds } from './heldByFeeds.ts';
import { learnerEvents } from './history.ts';
import { blankRun } from './manual.ts';
import { reportsTo, scrubRecipients } from './recipients.ts';
import { countFiles, elsewhere, type Places, scrubFiles } from './storedFiles.ts';
import {
  scrubAnswers,
  scrubBatches,
  scrubRejected,
  scrubRuns,
  scrubTables,
  tracesInBatches,
  tracesInRejected,
} from './traces.ts';

/** What an erasure takes away, by where it lies. */
export interface Traces {
  readonly memberships: number;
  readonly subscriptions: number;
  /** Results in courses, those included that a purge keeps for a while. */
  readonly results: number;
  readonly setAside: number;
  /** Batches of plans, in which the person loses name and address. */
  readonly plans: number;
  readonly rejectedRows: number;
  /** Stored feed files. */
  readonly files: number;
  /** Reports that are sent to the person. */
  readonly reports: number;
}

/** What erasing the learner would take away; nothing is changed. */
export async function tracesOf({ store }: Services, places: Places, learner: Learner): Promise<Traces> {
  const person = await personOf(store, learner);
  const mine = { '_id.learner': { $in: person.learners } } as never;
  const [subscriptions, results, kept, setAside, plans, rejected, files, reports] = await Promise.all([
    store.subscriptions.findOne({ _id: learner.id }),
    store.progress.countDocuments(mine),
    store.purged.countDocuments({ '_id.learner': { $in: person.learners }, progress: { $exists: true } }),
    store.setAside.countDocuments({ learner: { $in: person.learners } }),
    tracesInBatches(store, person),
    tracesInRejected(store, person),
    countFiles(store, places, person),
    reportsTo(store, person),
  ]);
  return {
    memberships: learner.memberships.length,
    subscriptions: subscriptions?.items.length ?? 0,
    results: results + kept,
    setAside,
    plans: plans.length,
    rejectedRows: rejected.rows.length,
    files,
    reports: reports.length,
  };
}

export interface Erased {
  readonly run: RunId;
  readonly learner: string;
  /** Something of the person may be left until these runs have ended; a worker goes on then. */
  readonly waitsFor: readonly RunId[];
}

/**
 * Erases a person (docs/decisions/0033-erasure.md). The learner is gone, and kept from coming back by the next import,
 * in one transaction; every other trace follows, here and now, or by `continueErasures` where this process dies.
 * `reason` is kept and must not name the person.
 */
export async function eraseLearner(
  services: Services,
  places: Places,
  { learner: id, by, reason }: { learner: LearnerId; by: string; reason?: string },
): Promise<Erased> {
  const { store, clock } = services;
  const secret = await readSecret(store);
  const learner = (await learnersById(store, [id])).get(id);
  if (!learner) throw new NotFound(`There is no learner id:${id}; nothing was changed.`);
  const person = await personOf(store, learner);
  refuseNaming(learner, reason);
  const at = clock.now();
  const _id = await newRunId(store);
  const keys = [
    ...Object.values(keysOf(secret, learner)),
    ...person.externalIds.flatMap((one) => keysOf(secret, { externalId: one }).externalId ?? []),
  ];
  const erasure: ErasureDoc = { _id, learner: id, at, by, ...(reason && { reason }), keys: [...new Set(keys)], person };
  await store.transaction(async (session) => {
    if (!(await forget(store, session, id))) throw new NotFound(`Learner id:${id} is gone already.`);
    await store.erasures.insertOne(erasure, { session });
    await readAnew(store, session);
    await insertEnded(store, doneAtOnce(_id, by, 'learners erase', at), session);
    const entry = { at, by, why: 'learners erase', learners: [id], counts: { erased: 1 } };
    await recordAudit(store, session, {
      _id: { run: _id, batch: 0, step: 'erase' },
      ...entry,
      ...(reason && { detail: { reason } }),
    });
  });
  await goOn(services, places, erasure);
  const left = await store.erasures.findOne({ _id, person: { $exists: true } });
  return {
    run: _id,
    learner: `id:${id}`,
    waitsFor: left ? await runsInTheWay(store, erasure) : [],
  };
}

/**
 * Goes on with erasures that are not at their end: their process died, or runs were at work whose plans were made
 * before. Any number of callers is harmless. Returns how many are still unfinished.
 */
export async function continueErasures(services: Services, places: Places): Promise<number> {
  const { store } = services;
  const open = { person: { $exists: true } };
  for (const erasure of await store.erasures.find(open).sort({ at: 1 }).limit(10).toArray()) {
    const waits = erasure.passed && (await runsInTheWay(store, erasure)).length > 0;
    if (!waits) await goOn(services, places, erasure);
  }
  return store.erasures.countDocuments(open);
}

/** Once through everything. It was the last time where no run was at work whose plan may still name the person. */
async function goOn(services: Services, places: Places, erasure: ErasureDoc): Promise<void> {
  const { store, clock } = services;
  const { _id } = erasure;
  const person = erasure.person as Person;
  const isLast = (await runsInTheWay(store, erasure)).length === 0;
  await forgetAgain(store, person);
  const mine = { '_id.learner': { $in: person.learners } } as never;
  await store.progress.deleteMany(mine);
  await store.purged.deleteMany(mine);
  await store.subscriptions.deleteMany({ _id: { $in: [...person.learners] } });
  await store.setAside.deleteMany({
    $or: [{ learner: { $in: person.learners } }, { 'change.create.externalId': { $in: person.externalIds } }],
  });
  await store.feeds.updateMany({}, { $pull: { lookAgain: { learner: { $in: [...person.learners] } } } });
  await scrubBatches(services, { ...erasure, person }, await tracesInBatches(store, person));
  await scrubRejected(store, await tracesInRejected(store, person));
  await scrubRuns(store, person);
  await scrubAnswers(store, person);
  await scrubRecipients(services, erasure.by, person);
  await scrubTables(store, person.learners);
  const isWhole = await scrubFiles(store, places, person);
  const end =
    isLast && isWhole
      ? { $unset: { person: '' as const }, $set: { finishedAt: clock.now() } }
      : { $set: { passed: true } };
  await store.erasures.updateOne({ _id, person: { $exists: true } }, end);
}

/** Runs made before the erasure that may still write what they had read, or keep it where this host cannot reach it. */
async function runsInTheWay(store: Store, { at }: ErasureDoc): Promise<RunId[]> {
  const states: RunDoc['state'][] = ['queued', 'reading', 'planned', 'applying', 'reconciling', 'held'];
  const open = await store.runs.find({ state: { $in: states }, createdAt: { $lte: at }, finishedAt: null }).toArray();
  return open.filter((run) => run.state !== 'held' || elsewhere(run)).map(({ _id }) => _id);
}

/** The next run of every feed reads its rows, also where its bytes are the same, and says what it leaves out. */
async function readAnew(store: Store, session: Session): Promise<void> {
  await store.feeds.updateMany({ applied: { $exists: true } }, { $inc: { 'applied.again': 1 } }, { session });
}

/** The learner, and what feeds hold of it. False: it was not there. */
async function forget(store: Store, session: Session, id: LearnerId): Promise<boolean> {
  const learner = (await learnersById(store, [id], session)).get(id);
  if (!learner) return false;
  const held = new HeldByFeeds();
  held.add(learner, { ...learner, memberships: [], holds: [] });
  await held.write(store, session);
  await store.learners.deleteOne({ _id: id }, { session });
  await store.subscriptions.deleteOne({ _id: id }, { session });
  return true;
}

/** A run that was at work may have made the learner anew from its plan. */
async function forgetAgain(store: Store, { externalIds }: Person): Promise<void> {
  for (const { _id } of await store.learners.find({ externalId: { $in: [...externalIds] } }).toArray()) {
    await store.transaction((session) => forget(store, session, _id));
    await store.progress.deleteMany({ '_id.learner': _id });
  }
}

/** All that the person was ever called, by what is stored and by the audit, and that nobody else is called by now. */
export async function personOf(store: Store, learner: Learner): Promise<Person> {
  const learners = new Set([learner.id]);
  const externalIds = new Set<ExternalId>(learner.externalId ? [learner.externalId] : []);
  const emails = new Set<string>(learner.email ? [emailKey(learner.email)] : []);
  for (const { entry, change } of await learnerEvents(store, learner.id)) {
    for (const [planned, actual] of entry.instead ?? []) if (actual === learner.id) learners.add(planned);
    const { create, fields = [] } = change ?? {};
    const said = [
      ...fields.flatMap(({ field, before, after }) => [[field, before] as const, [field, after] as const]),
      ['externalId', create?.externalId] as const,
      ['email', create?.email] as const,
    ];
    for (const [field, text] of said) {
      if (field === 'externalId' && text) externalIds.add(text as ExternalId);
      if (field === 'email' && text) emails.add(emailKey(text));
    }
  }
  for (const [email, holder] of await learnersByEmail(store, [...emails]))
    if (holder.id !== learner.id) emails.delete(email);
  for (const [externalId, holder] of await learnersByExternalId(store, [...externalIds]))
    if (holder.id !== learner.id) externalIds.delete(externalId);
  return { learners: [...learners], externalIds: [...externalIds], emails: [...emails] };
}

function refuseNaming({ externalId: id, email, firstName, lastName }: Learner, reason: string | undefined): void {
  const texts = [id, email, lastName ?? firstName].flatMap((text) => (text ? [text.toLowerCase()] : []));
  if (!texts.some((text) => ` ${reason?.toLowerCase()} `.includes(text))) return;
  throw new UsageError('The reason is kept, and it names the person; nothing was changed. Say it without names.');
}

function doneAtOnce(id: RunId, by: string, why: string, at: Date): RunDoc {
  const history: RunDoc['history'] = [{ state: 'completed', at, by, note: why }];
  return { ...blankRun(id, 'manual', by, why, at), state: 'completed', history, finishedAt: at };
}

/**
 * Lifts an erasure, so that imports may bring the person back as a new learner: nothing that was erased returns.
 * `text`: the External ID or e-mail address. Every feed reads its rows again, also where its bytes are the same.
 */
export async function liftErasure(
  { store, clock }: Services,
  { text, by }: { text: string; by: string },
): Promise<{ run: RunId; lifted: number }> {
  const id = externalId(text);
  const { externalId: byId, email } = keysOf(await readSecret(store), { externalId: id, email: text });
  const at = clock.now();
  const keys = [byId, email].flatMap((key) => key ?? []);
  const erased = await store.erasures.find({ keys: { $in: keys } }).toArray();
  if (erased.length === 0) {
    throw new NotFound('Nobody who was erased had this External ID or e-mail address; nothing was changed.');
  }
  const open = erased.find(({ person }) => person);
  if (open) {
    throw new NotNow(
      `The erasure of ${open._id} is not at its end: it waits for runs that were at work. Nothing was changed. Try again when they have ended.`,
    );
  }
  const run = await newRunId(store);
  return store.transaction(async (session) => {
    const lifted = await liftKeys(store, session, keys, { at, by });
    await readAnew(store, session);
    await insertEnded(store, doneAtOnce(run, by, 'learners unerase', at), session);
    const learners = erased.map(({ learner }) => learner);
    const entry = { at, by, why: 'learners unerase', learners, counts: { lifted } };
    await recordAudit(store, session, { _id: { run, batch: 0, step: 'unerase' }, ...entry });
    return { run, lifted };
  });
}
