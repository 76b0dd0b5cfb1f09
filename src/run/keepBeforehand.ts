import type { RunId } from '../domain/ids.ts';
import type { Structure } from '../domain/structure.ts';
import { auditOf, settleLearners } from '../reconcile/settleBatch.ts';
import { memberIds } from '../store/learners.ts';
import type { AuditDoc, BatchDoc, Restore, RunDoc } from '../store/models.ts';
import { ofRun } from '../store/outbox.ts';
import type { Services } from '../store/services.ts';
import type { Session, Store } from '../store/store.ts';
import { readStructure } from '../store/structure.ts';
import { chunks } from './chunks.ts';
import { BATCH_SIZE } from './planWriter.ts';
import { waiting } from './start.ts';

/** The groups are not those any more that a change was made from: it is made again. */
export class StructureMoved extends Error {}

/** Who makes grants gives a sign of life with each batch; without one for this long, ms, they are taken back. */
const LEASE = 60_000;

/**
 * R6 for a change of structure: what members would lose becomes a direct grant before it is lost. The run is stored
 * first, so that the grants are somebody's: `insertKept` makes it the change, `takeBackKept` revokes them.
 */
export async function keepBeforehand(services: Services, run: RunDoc, after: Structure): Promise<void> {
  const { store, clock } = services;
  const { spread, ...first } = run;
  const { groups, lost } = spread as NonNullable<RunDoc['spread']>;
  const until = () => new Date(clock.now().getTime() + LEASE);
  await store.runs.insertOne({ ...first, keeping: { until: until(), batches: 0 } });
  let batch = 0;
  for (const learners of chunks(await memberIds(store, groups), BATCH_SIZE)) {
    batch += 1;
    await store.transaction(async (session) => {
      const alive = { $set: { 'keeping.until': until() }, $inc: { 'keeping.batches': 1 } };
      const { matchedCount } = await store.runs.updateOne(granting(run._id), alive, { session });
      if (matchedCount === 0) throw new StructureMoved();
      const now = clock.now();
      const before = await readStructure(store, session);
      const work = { now, run: run._id };
      const first = learners.map((learner) => ({ learner, endings: [] }));
      const waited = await settleLearners(services, session, {
        ...work,
        orders: first,
        structure: before,
        kind: 'subscribe',
      });
      const orders = learners.map((learner) => ({ learner, endings: [], ...(lost && { lost }) }));
      const settlements = await settleLearners(services, session, {
        ...work,
        orders,
        structure: after,
        kind: 'subscribe',
      });
      const entries = [
        // What had waited for its settlement is no part of what is taken back.
        auditOf({ run: run._id, batch }, 'keep-before', run.by, run.source.name, now, waited),
        auditOf({ run: run._id, batch }, KEEP, run.by, run.source.name, now, settlements),
      ];
      for (const entry of entries) if (entry) await store.audit.insertOne(entry, { session });
    });
  }
}

/** Stores the run of a change of structure whose grants are made. @throws {StructureMoved} where they were taken back. */
export async function insertKept(store: Store, session: Session, run: RunDoc): Promise<void> {
  const { matchedCount } = await store.runs.replaceOne(granting(run._id), run, { session });
  if (matchedCount === 0) throw new StructureMoved();
}

/** The run, while its grants are being made and nobody takes them back. */
function granting(_id: RunId) {
  return { _id, 'keeping.until': { $ne: null } } as never;
}

/** Does nobody make grants for the change any more, though it was not made? */
export function isLeftBehind({ keeping }: RunDoc, now: Date): boolean {
  return keeping !== undefined && (keeping.until === null || keeping.until <= now);
}

/** The step of the audit entries about these grants. */
const KEEP = 'keep';

/**
 * Takes back, in batches of the run, what was given for a change of structure that is not made: it was refused, or its
 * process was killed. A grant goes where a group gives the course still: it may be that another change has taken it away
 * since, and counts on the grant. Twice, and from several processes at once, is harmless.
 */
export async function takeBackKept({ store, clock }: Services, _id: RunId): Promise<void> {
  const left = { _id, keeping: { $exists: true } };
  // No grant follows: each writes to the run as well, and finds this.
  const { matchedCount } = await store.runs.updateOne(left, { $set: { 'keeping.until': null } });
  if (matchedCount === 0) return;
  const entries = await store.audit.find({ ...ofRun(_id), '_id.step': KEEP } as never).toArray();
  const batches = entries.map(revoking);
  for (const { _id: id, ...batch } of batches) {
    await store.batches.updateOne({ _id: id }, { $setOnInsert: batch }, { upsert: true });
  }
  const now = clock.now();
  await store.transaction(async (session) => {
    const set = { batches: batches.length, error: GROUPS_UNCHANGED };
    const { modifiedCount } = await store.runs.updateOne(left, { $unset: { keeping: '' }, $set: set }, { session });
    if (modifiedCount === 0 || batches.length === 0) return;
    await store.outbox.insertMany(
      batches.map((batch) => waiting(batch._id, 'expire', now)),
      { session },
    );
  });
}

const GROUPS_UNCHANGED = {
  code: 'groups-unchanged',
  message:
    'The groups were changed by somebody else at the same time, or the process ended, so this change was not made; direct grants that had been made for it (keep) are taken back where a group gives the course still. Make it again where it is still wanted.',
};

function revoking({ _id: { run, batch }, events = [] }: AuditDoc): BatchDoc {
  const restores = events.map(({ learner, events: list }): Restore => {
    const release = list.flatMap(({ kind, course }) => (kind === 'kept' ? [course] : []));
    return { learner, grant: [], revoke: [], release, purged: [] };
  });
  return { _id: { run, batch: 1_000_000 + batch }, settle: 'expire', creates: false, changes: [], restores };
}
