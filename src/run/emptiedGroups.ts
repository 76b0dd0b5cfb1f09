import type { GroupId, RunId } from '../domain/ids.ts';
import { recordAudit } from '../store/auditChain.ts';
import type { Services } from '../store/services.ts';
import type { Session } from '../store/store.ts';
import { bumpStructure, toGroup } from '../store/structure.ts';

/** Takes groups away that an undone run had made, where they are still as it made them: empty, unlinked, with nothing below. */
export async function dropEmptiedGroups(
  { store, clock }: Services,
  session: Session,
  run: { readonly _id: RunId; readonly by: string; readonly source: { readonly name: string } },
  ids: readonly GroupId[],
): Promise<void> {
  const docs = await store.groups.find({ _id: { $in: ids }, courses: [] }, { session }).toArray();
  const dropped = [];
  // Those below go first, so that the ones above are empty then.
  for (const doc of docs.sort((a, b) => b._id - a._id)) {
    const member = await store.learners.findOne({ 'memberships.group': doc._id }, { session, projection: { _id: 1 } });
    const isMade = doc.subenvironments.length === 0 && doc.instructors.length === 0;
    const child = await store.groups.findOne({ parent: doc._id }, { session, projection: { _id: 1 } });
    if (member || child || !isMade) continue;
    await store.groups.deleteOne({ _id: doc._id, revision: doc.revision }, { session });
    dropped.push(doc);
  }
  if (dropped.length === 0) return;
  await bumpStructure(store, session, { keys: 'gone' });
  await recordAudit(store, session, {
    _id: { run: run._id, batch: 0, step: 'structure' },
    at: clock.now(),
    by: run.by,
    why: run.source.name,
    learners: [],
    groups: dropped.map(({ _id }) => _id),
    detail: dropped.map((doc) => ({ before: toGroup(doc), after: null })),
    counts: {},
  });
}
