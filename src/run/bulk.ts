import type { Change } from '../domain/change.ts';
import { type ExternalId, emailKey, type LearnerId } from '../domain/ids.ts';
import type { Identity } from '../domain/learner.ts';
import { reserve } from '../store/counters.ts';
import { readErased } from '../store/erasures.ts';
import { learnersByEmail, learnersByExternalId } from '../store/learners.ts';
import type { Services } from '../store/services.ts';
import { readCourses, readStructure } from '../store/structure.ts';
import { changeByHand } from './manual.ts';
import { importStructure, type StructureImport } from './structureChange.ts';
import { unfitId } from './unfitIds.ts';

/** One of many that were to be made, and what became of it: `created`, `already`, or why it was not. */
export interface BulkLine {
  readonly name: string;
  readonly outcome: string;
}

/**
 * Makes many groups as one change, parents and courses named by External ID, in any order. Those that cannot be made
 * do not keep the others from it.
 */
export async function createGroups(
  services: Services,
  { groups, by }: { groups: StructureImport['groups']; by: string },
): Promise<BulkLine[]> {
  const structure = await readStructure(services.store);
  const courses = new Set([...(await readCourses(services.store)).values()].map(({ externalId }) => externalId));
  const outcomes = new Map<(typeof groups)[number], string>();
  const made = new Map<ExternalId, (typeof groups)[number]>();
  for (const group of groups) {
    const unknown = group.courses?.find((course) => !courses.has(course));
    const unfit = unfitId(group.externalId);
    if (unfit !== undefined) outcomes.set(group, unfit);
    else if (structure.byExternalId(group.externalId)) outcomes.set(group, 'already');
    else if (made.has(group.externalId)) outcomes.set(group, 'repeated');
    else if (unknown !== undefined) outcomes.set(group, `unknown course ${unknown}`);
    else made.set(group.externalId, group);
  }
  // A group may lie in one that is made with it; what is left hangs on nothing, or in a circle.
  const placed = new Set<ExternalId>();
  const isPlaced = (parent: ExternalId | undefined) =>
    parent === undefined || placed.has(parent) || structure.byExternalId(parent) !== undefined;
  for (let before = -1; before < placed.size; ) {
    before = placed.size;
    for (const { externalId, parent } of made.values()) if (isPlaced(parent)) placed.add(externalId);
  }
  for (const [externalId, group] of made)
    outcomes.set(group, placed.has(externalId) ? 'created' : `unknown parent ${group.parent}, or a circle`);
  const created = groups.filter((group) => outcomes.get(group) === 'created');
  if (created.length > 0) {
    const done = await importStructure(services, { groups: created, courses: [], by });
    for (const group of created) if (!done.has(group.externalId)) outcomes.set(group, 'already');
  }
  return groups.map((group) => ({ name: group.externalId, outcome: outcomes.get(group) as string }));
}

/** Adds many learners by hand as one change. Those that cannot be added do not keep the others from it. */
export async function addLearners(
  services: Services,
  { learners, by }: { learners: readonly Identity[]; by: string },
): Promise<BulkLine[]> {
  const { store } = services;
  const [byId, byEmail, erased] = await Promise.all([
    learnersByExternalId(
      store,
      learners.flatMap(({ externalId }) => externalId ?? []),
    ),
    learnersByEmail(
      store,
      learners.flatMap(({ email }) => email ?? []),
    ),
    readErased(store),
  ]);
  const taken = new Set<string>();
  const outcomeOf = (identity: Identity): string => {
    const { externalId, email } = identity;
    const keys = [externalId && `id ${externalId}`, email && `mail ${emailKey(email)}`].flatMap((key) => key || []);
    const unfit = externalId && unfitId(externalId);
    if (unfit) return unfit;
    if (externalId && byId.has(externalId)) return 'already';
    if (email && byEmail.has(emailKey(email))) return 'its e-mail address is held by another learner';
    if (erased?.match(identity)) return 'the person was erased';
    if (keys.some((key) => taken.has(key))) return 'repeated';
    for (const key of keys) taken.add(key);
    return 'created';
  };
  const outcomes = learners.map(outcomeOf);
  const created = learners.filter((_, at) => outcomes[at] === 'created');
  if (created.length > 0) {
    const first = await reserve(store, 'learners', created.length);
    const changes = created.map(
      (create, at): Change => ({
        learner: (first + at) as LearnerId,
        revision: 0,
        create,
        fields: [],
        memberships: [],
      }),
    );
    const { run, setAside } = await changeByHand(services, { by, why: 'learners import', changes });
    const late = setAside > 0 ? await store.setAside.find({ run }, { projection: { learner: 1 } }).toArray() : [];
    const places = outcomes.flatMap((outcome, at) => (outcome === 'created' ? [at] : []));
    for (const { learner } of late) outcomes[places[learner - first] as number] = 'set aside: `muster queue list`';
  }
  return learners.map(({ externalId, email }, at) => ({
    name: externalId ?? email ?? '',
    outcome: outcomes[at] ?? '',
  }));
}
