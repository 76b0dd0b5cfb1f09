import type { RunId } from '../domain/ids.ts';
import type { Group } from '../domain/structure.ts';
import { recordAudit, recordDecision } from '../store/auditChain.ts';
import type { BatchDoc, GroupDoc, OutboxDoc, RunDoc } from '../store/models.ts';
import { ENQUEUED_BY_WRITER } from '../store/outbox.ts';
import { moveRun, whyOf } from '../store/runs.ts';
import type { Services } from '../store/services.ts';
import { withdrawSetAside } from '../store/setAside.ts';
import type { Session, Store } from '../store/store.ts';
import { bumpStructure, toGroup } from '../store/structure.ts';
import type { Outcome } from './outcome.ts';

/** A held plan of which a part is left: batches of their own, which nothing knows of until the run is moved to them. */
export interface ReducedPlan {
  readonly attempt: number;
  readonly batches: number;
  readonly outcome: Outcome;
}

/**
 * From plan to work, in one transaction: the run's state, the groups that the feed makes, e-mail addresses that
 * change hands, and an outbox entry for every batch. False: the run was no longer in the state that was read.
 */
export async function startApplying(
  { store, clock }: Services,
  run: RunDoc,
  by: string,
  note?: string,
  reduced?: ReducedPlan,
): Promise<boolean> {
  const batches = await store.batches
    .find({ _id: attemptOf(reduced ? { ...run, ...reduced } : run) }, { projection: { _id: 1 } })
    .sort({ _id: 1 })
    .toArray();
  return store.transaction(async (session) => {
    const now = clock.now();
    const outcome = reduced?.outcome ?? (run.outcome as Outcome | undefined);
    const moved = await moveRun(store, run, 'applying', {
      by,
      at: now,
      ...(note && { note }),
      set: { working: true, ...reduced },
      session,
    });
    if (!moved) return false;
    if (run.undoes) await withdrawSetAside(store, run.undoes, session);
    if (outcome) {
      const detail = await createGroups(store, session, outcome.newGroups);
      if (detail.length > 0) {
        const entry = { learners: [], groups: detail.map(({ after }) => after.id), detail, counts: {} };
        const _id = { run: run._id, batch: 0, step: 'structure' };
        await recordAudit(store, session, { _id, at: now, by: run.by, why: whyOf(run), ...entry });
      }
      await releaseEmails(store, session, outcome.releases);
    }
    if (note) await recordDecision(store, session, { run: run._id, step: 'approved', by, why: note, at: now });
    const entries = batches.map(({ _id }) => waiting(_id, 'apply', now));
    if (entries.length > 0) await store.outbox.insertMany(entries, { session });
    return true;
  });
}

/** An outbox entry that its writer enqueues right after the commit. */
export function waiting(_id: BatchDoc['_id'], job: OutboxDoc['job'], now: Date): OutboxDoc {
  return { _id, job, tries: 0, at: new Date(now.getTime() + ENQUEUED_BY_WRITER) };
}

/** Ids of this try's batches: those of abandoned tries are not the run's. */
export function attemptOf(run: { _id: RunId; attempt: number }): { $gt: BatchDoc['_id']; $lt: BatchDoc['_id'] } {
  const first = run.attempt * 1_000_000;
  return { $gt: { run: run._id, batch: first }, $lt: { run: run._id, batch: first + 1_000_000 } };
}

async function createGroups(
  store: Store,
  session: Session,
  groups: Outcome['newGroups'],
): Promise<{ before: null; after: Group }[]> {
  if (groups.length === 0) return [];
  const byExternalId = new Map(groups.map((group) => [group.externalId, group.id]));
  const parents = groups.flatMap(({ parent }) => (parent && !byExternalId.has(parent) ? [parent] : []));
  for (const doc of await store.groups.find({ externalId: { $in: parents } }, { session }).toArray()) {
    byExternalId.set(doc.externalId as never, doc._id);
  }
  const docs: Writable<GroupDoc>[] = groups.map(({ id, externalId, name, parent }) => {
    const above = parent && byExternalId.get(parent);
    return {
      _id: id,
      externalId,
      name,
      ...(above && { parent: above }),
      instructors: [],
      subenvironments: [],
      courses: [],
      revision: 1,
    };
  });
  const made = withoutCircles(docs);
  await store.groups.insertMany(made, { session });
  await bumpStructure(store, session, { keys: 'came' });
  return made.map((doc) => ({ before: null, after: toGroup(doc) }));
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** Groups that a feed puts in a circle stand at the top instead. */
function withoutCircles(docs: Writable<GroupDoc>[]): GroupDoc[] {
  const parents = new Map(docs.map((doc) => [doc._id, doc.parent]));
  for (const doc of docs) {
    const seen = new Set([doc._id]);
    for (let at = doc.parent; at !== undefined; at = parents.get(at)) {
      if (!seen.has(at)) {
        seen.add(at);
        continue;
      }
      delete doc.parent;
      parents.set(doc._id, undefined);
      break;
    }
  }
  return docs;
}

/** Addresses that change hands are free before anybody receives one: two people may swap (R12). */
async function releaseEmails(store: Store, session: Session, releases: Outcome['releases']): Promise<void> {
  if (releases.length === 0) return;
  await store.learners.bulkWrite(
    releases.map(({ learner, emailKey }) => ({
      updateOne: {
        filter: { _id: learner, emailKey },
        update: { $unset: { email: '', emailKey: '' }, $inc: { revision: 1 } },
      },
    })),
    { session, ordered: false },
  );
}
