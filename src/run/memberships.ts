import type { Change, FieldChange, MembershipChange, RemovalOption } from '../domain/change.ts';
import { ChangedMeanwhile, NotFound, UsageError } from '../domain/errors.ts';
import { type GroupId, type LearnerId, MANUAL } from '../domain/ids.ts';
import type { Identity, Learner, Window } from '../domain/learner.ts';
import { reserve } from '../store/counters.ts';
import { refuseErased } from '../store/erasures.ts';
import { readWindowOption } from '../store/feeds.ts';
import { learnersByEmail, learnersByExternalId, learnersById, memberIds } from '../store/learners.ts';
import type { Services } from '../store/services.ts';
import { readStructure } from '../store/structure.ts';
import { chunks } from './chunks.ts';
import { changeByHand, type ManualOrder, type ManualResult } from './manual.ts';
import { type RemovalPreview, RemovalTally } from './removalPreview.ts';
import { simulate } from './simulate.ts';
import { refuseUnfitId } from './unfitIds.ts';

const ALWAYS: readonly Window[] = [{}];
const CHUNK = 1000;

/** Puts learners into a group by hand. Those who are in it by hand already are left as they are. */
export async function addMembers(
  services: Services,
  { group, learners, by }: { group: GroupId; learners: readonly LearnerId[]; by: string },
): Promise<ManualResult> {
  const changes: Change[] = [];
  for (const learner of (await found(services, learners)).values()) {
    const before = windowsOf(learner, group, MANUAL);
    if (before.length === 0) changes.push(changeOf(learner, [{ group, source: MANUAL, before, after: ALWAYS }]));
  }
  return changeByHand(services, { by, why: 'groups add', changes });
}

export interface Removal {
  readonly group: GroupId;
  readonly learners: readonly LearnerId[] | 'all';
  readonly courses: RemovalOption;
}

/** Takes learners out of a group, whoever holds the membership (R6–R8). Those who are not in it are left as they are. */
export async function removeMembers(services: Services, removal: Removal & { by: string }): Promise<ManualResult> {
  const changes: Change[] = [];
  for await (const some of removals(services, removal)) changes.push(...some.map(({ change }) => change));
  return changeByHand(services, { by: removal.by, why: `groups remove --courses ${removal.courses}`, changes });
}

/** What a removal would do, without doing it (R11). */
export async function previewRemoval(services: Services, removal: Removal): Promise<RemovalPreview> {
  const { store, clock } = services;
  const tally = new RemovalTally(store);
  const structure = await readStructure(store);
  const windowOption = await readWindowOption(store);
  for await (const planned of removals(services, removal)) {
    const simulated = await simulate(store, planned, structure, clock.now(), windowOption);
    const asPurge = planned.map(({ change, live }) => ({ live, change: withOption(change, 'purge') }));
    await tally.add(
      simulated,
      removal.courses === 'purge' ? simulated : await simulate(store, asPurge, structure, clock.now(), windowOption),
    );
  }
  return tally.preview;
}

function withOption(change: Change, courses: RemovalOption): Change {
  return { ...change, memberships: change.memberships.map((one) => ({ ...one, courses })) };
}

async function* removals(
  services: Services,
  { group, learners, courses }: Removal,
): AsyncGenerator<{ change: Change; live: Learner }[]> {
  const ids = learners === 'all' ? await memberIds(services.store, [group]) : [...new Set(learners)];
  for (const some of chunks(ids, CHUNK)) {
    const live = await found(services, some);
    yield [...live.values()].flatMap((learner) => {
      const memberships = removalOf(learner, group, courses);
      return memberships.length > 0 ? [{ change: changeOf(learner, memberships), live: learner }] : [];
    });
  }
}

/** A change of one learner by hand. */
interface LearnerOrder {
  readonly by: string;
  /** Refused where the learner is stored in another revision than this. */
  readonly revision?: number | undefined;
}

async function asItWasRead(services: Services, id: LearnerId, { revision }: LearnerOrder): Promise<Learner> {
  const learner = (await found(services, [id])).get(id) as Learner;
  if (revision !== undefined && revision !== learner.revision) throw new ChangedMeanwhile('learner');
  return learner;
}

function manual({ by, revision }: LearnerOrder): Pick<ManualOrder, 'by' | 'asRead'> {
  return { by, ...(revision !== undefined && { asRead: true }) };
}

/** Moves one learner: into the new group and out of the old one, with `expire`, as one change (R9). */
export async function moveLearner(
  services: Services,
  { learner: id, from, to, ...order }: { learner: LearnerId; from: GroupId; to: GroupId } & LearnerOrder,
): Promise<ManualResult> {
  if (from === to)
    throw new UsageError('The two groups of a move are the same; nothing was changed. Name another with --to.');
  const learner = await asItWasRead(services, id, order);
  const out = removalOf(learner, from, 'expire');
  if (out.length === 0) {
    throw new UsageError(
      'The learner is not in the group of --from; nothing was changed. `muster learners show` lists the groups.',
    );
  }
  const before = windowsOf(learner, to, MANUAL);
  const into: MembershipChange[] = before.length === 0 ? [{ group: to, source: MANUAL, before, after: ALWAYS }] : [];
  return changeByHand(services, {
    ...manual(order),
    why: 'learners move',
    changes: [changeOf(learner, [...into, ...out])],
  });
}

function removalOf(learner: Learner, group: GroupId, courses: RemovalOption): MembershipChange[] {
  const membership = learner.memberships.find((one) => one.group === group);
  const sources = new Set(membership?.sources.map(({ source }) => source));
  return [...sources].map((source) => ({
    group,
    source,
    before: windowsOf(learner, group, source),
    after: [],
    courses,
  }));
}

function windowsOf(learner: Learner, group: GroupId, source: string): Window[] {
  const membership = learner.memberships.find((one) => one.group === group);
  return (membership?.sources ?? []).filter((one) => one.source === source).map(({ source: _, ...window }) => window);
}

function changeOf(learner: Learner, memberships: readonly MembershipChange[]): Change {
  return { learner: learner.id, revision: learner.revision, fields: [], memberships };
}

async function found({ store }: Services, ids: readonly LearnerId[]): Promise<Map<LearnerId, Learner>> {
  const all = new Map<LearnerId, Learner>();
  for (const some of chunks([...new Set(ids)], CHUNK)) {
    for (const [id, learner] of await learnersById(store, some)) all.set(id, learner);
  }
  const missing = ids.find((id) => !all.has(id));
  if (missing !== undefined) throw new NotFound(`There is no learner id:${missing}; nothing was changed.`);
  return all;
}

/** Adds a learner by hand. */
export async function addLearner(
  services: Services,
  { identity, by }: { identity: Identity; by: string },
): Promise<LearnerId> {
  await refuseTaken(services, identity);
  const learner = (await reserve(services.store, 'learners', 1)) as LearnerId;
  const change: Change = { learner, revision: 0, create: identity, fields: [], memberships: [] };
  const { setAside } = await changeByHand(services, { by, why: 'learners add', changes: [change] });
  if (setAside > 0)
    throw new UsageError('The External ID or e-mail address was taken a moment ago; the learner was not added.');
  return learner;
}

/** Changes fields of a learner by hand: `externalId`, `email`, `firstName`, `lastName`, `status`, `attributes.NAME`. */
export async function editLearner(
  services: Services,
  {
    learner: id,
    set,
    ...order
  }: { learner: LearnerId; set: Readonly<Record<string, string | undefined>> } & LearnerOrder,
): Promise<ManualResult> {
  const learner = await asItWasRead(services, id, order);
  const { externalId, email } = set as Partial<Identity>;
  await refuseTaken(services, { ...(externalId && { externalId }), ...(email && { email }) }, id);
  const fields: FieldChange[] = Object.entries(set).flatMap(([field, after]) => {
    const before = field.startsWith('attributes.')
      ? learner.attributes[field.slice('attributes.'.length)]
      : (learner[field as keyof Learner] as string | undefined);
    if (before === (after || undefined)) return [];
    return [{ field, ...(before !== undefined && { before }), ...(after && { after }) }];
  });
  const changes = fields.length > 0 ? [{ ...changeOf(learner, []), fields }] : [];
  return changeByHand(services, { ...manual(order), why: 'learners edit', changes });
}

async function refuseTaken(
  { store }: Services,
  { externalId, email }: Partial<Identity>,
  own?: LearnerId,
): Promise<void> {
  refuseUnfitId(externalId);
  await refuseErased(store, { externalId, email });
  const byId = externalId ? (await learnersByExternalId(store, [externalId])).get(externalId) : undefined;
  if (byId && byId.id !== own) throw new UsageError(`Learner ${externalId} exists already; nothing was changed.`);
  const [byEmail] = email ? [...(await learnersByEmail(store, [email])).values()] : [];
  if (byEmail && byEmail.id !== own) {
    const holder = byEmail.externalId ?? `id:${byEmail.id}`;
    throw new UsageError(`The e-mail address ${email} is held by learner ${holder}; nothing was changed.`);
  }
}
