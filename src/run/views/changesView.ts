import type { FieldChange, MembershipChange, SubscriptionEvent } from '../../domain/change.ts';
import type { CourseId, GroupId, LearnerId, RunId } from '../../domain/ids.ts';
import type { Learner, Window } from '../../domain/learner.ts';
import type { Course, Structure } from '../../domain/structure.ts';
import { learnersById } from '../../store/learners.ts';
import type { OvertakenDoc, Restore, RunDoc } from '../../store/models.ts';
import { ofRun } from '../../store/outbox.ts';
import type { Services } from '../../store/services.ts';
import type { Store } from '../../store/store.ts';
import { readCourses, readStructure } from '../../store/structure.ts';
import type { Outcome } from '../outcome.ts';
import { keyIn, keyOf } from './key.ts';

/** What a run does, or would do, to one learner: before and after. */
export interface ChangeView {
  readonly id: string;
  readonly externalId: string | null;
  /** The run makes the learner. */
  readonly created: boolean;
  readonly fields: readonly { readonly field: string; readonly before: string | null; readonly after: string | null }[];
  readonly memberships: readonly {
    readonly group: string;
    readonly source: string;
    /** Windows; [] = no membership. */
    readonly before: readonly WindowView[];
    readonly after: readonly WindowView[];
    /** What becomes of the courses, where the membership ends. */
    readonly courses: string | null;
  }[];
  /** What became of courses, as far as the run was applied; `through`: groups for whose sake a purge was not done. */
  readonly subscriptions: readonly SubscriptionView[];
  /** Rows of the file that say so. */
  readonly rows: readonly number[];
  /** Of an undo: grants and results that it puts back or takes back. */
  readonly restored: readonly string[];
  /** Of an undo: what newer changes overtook, so that it stays as it is. */
  readonly overtaken: readonly string[];
}

export interface SubscriptionView {
  readonly course: string;
  readonly event: string;
  readonly through: readonly string[];
}

export interface WindowView {
  readonly validFrom: Date | null;
  readonly validUntil: Date | null;
}

/** Every change of a run's plan, in its order; behind them, what became of the courses of learners of whom no batch speaks. */
export async function* changesOf({ store }: Services, run: RunDoc): AsyncGenerator<ChangeView> {
  const structure = await readStructure(store);
  const made = new Map(
    (run.outcome as Partial<Outcome> | undefined)?.newGroups?.map(({ id, externalId }) => [id, externalId]),
  );
  const nameOf = (id: GroupId) => groupName(structure, made, id);
  const attempt = { $gte: run.attempt * 1_000_000, $lt: (run.attempt + 1) * 1_000_000 };
  const courses = await readCourses(store);
  const view = (event: SubscriptionEvent) => viewEvent(event, nameOf, courses);
  for await (const batch of store.batches.find({ ...ofRun(run._id), '_id.batch': attempt }).sort({ _id: 1 })) {
    const { changes, restores = [], overtaken = [] } = batch;
    const changed = new Map(changes.map((change) => [change.learner, change]));
    const events = await eventsOf(store, run._id, { from: batch._id.batch, until: batch._id.batch + 1 });
    const others = [...restores, ...overtaken].map(({ learner }) => learner);
    const ids = [...new Set([...changed.keys(), ...others, ...events.keys()])];
    const learners = await learnersById(store, ids);
    for (const id of ids) {
      const { create, fields = [], memberships = [], rows = [] } = changed.get(id) ?? {};
      yield {
        ...whoIs(id, learners.get(id), create?.externalId),
        created: create !== undefined,
        fields: create ? fieldsOf(create) : fields.map(viewField),
        memberships: memberships.map((one) => viewMembership(one, nameOf)),
        subscriptions: (events.get(id) ?? []).map(view),
        rows,
        restored: restores.filter(({ learner }) => learner === id).flatMap((one) => viewRestore(one, courses)),
        overtaken: overtaken.filter(({ learner }) => learner === id).map((one) => viewOvertaken(one, nameOf, courses)),
      };
    }
  }
  // Grants of `keep` that a change of structure made beforehand.
  const events = await eventsOf(store, run._id, { from: 1, until: 1_000_000 });
  const learners = await learnersById(store, [...events.keys()]);
  for (const [id, some] of events)
    yield { ...whoIs(id, learners.get(id), undefined), ...NOTHING, subscriptions: some.map(view) };
}

const NOTHING = { created: false, fields: [], memberships: [], rows: [], restored: [], overtaken: [] };

/** Of batches of these numbers, what the audit has of each learner's courses. */
async function eventsOf(
  store: Store,
  run: RunId,
  { from, until }: { from: number; until: number },
): Promise<Map<LearnerId, SubscriptionEvent[]>> {
  const _id = { $gte: { run, batch: from }, $lt: { run, batch: until } };
  const events = new Map<LearnerId, SubscriptionEvent[]>();
  for (const entry of await store.audit.find({ _id, events: { $exists: true } } as never).toArray()) {
    for (const { learner, events: some } of entry.events ?? [])
      events.set(learner, [...(events.get(learner) ?? []), ...some]);
  }
  return events;
}

export function viewEvent(
  event: SubscriptionEvent,
  nameOf: (id: GroupId) => string,
  courses: ReadonlyMap<CourseId, Course>,
): SubscriptionView {
  return {
    course: keyIn(courses, event.course),
    event: event.kind,
    through: event.kind === 'purge-skipped' ? event.through.map(nameOf) : [],
  };
}

function viewRestore(
  { grant, revoke, release = [], purged }: Restore,
  courses: ReadonlyMap<CourseId, Course>,
): string[] {
  return [
    ...grant.map((course) => `${keyIn(courses, course)}: direct grant made again`),
    ...revoke.map((course) => `${keyIn(courses, course)}: direct grant taken back`),
    ...release.map(
      (course) => `${keyIn(courses, course)}: direct grant of keep taken back where a group gives the course`,
    ),
    ...purged.map((course) => `${keyIn(courses, course)}: purged results put back`),
  ];
}

function viewOvertaken(
  { field, group, source, course, why }: OvertakenDoc,
  nameOf: (id: GroupId) => string,
  courses: ReadonlyMap<CourseId, Course>,
): string {
  const what = field ?? (group === undefined ? keyIn(courses, course as CourseId) : `${nameOf(group)} (${source})`);
  return `${what}: ${why}`;
}

function groupName(structure: Structure, made: ReadonlyMap<GroupId, string>, id: GroupId): string {
  const group = structure.group(id);
  return group ? keyOf(group) : (made.get(id) ?? `id:${id}`);
}

function whoIs(id: LearnerId, learner: Learner | undefined, created: string | undefined) {
  return { id: `id:${id}`, externalId: created ?? learner?.externalId ?? null };
}

export function viewField({ field, before, after }: FieldChange): ChangeView['fields'][number] {
  return { field, before: before ?? null, after: after ?? null };
}

export function fieldsOf({ attributes, ...identity }: Pick<Learner, 'attributes'>): ChangeView['fields'] {
  const named = [
    ...Object.entries(identity),
    ...Object.entries(attributes).map(([name, value]) => [`attributes.${name}`, value]),
  ];
  return named.map(([field, after]) => ({ field, before: null, after: String(after) }));
}

export function viewMembership(
  { group, source, before, after, courses }: MembershipChange,
  nameOf: (id: GroupId) => string,
): ChangeView['memberships'][number] {
  return {
    group: nameOf(group),
    source,
    before: before.map(viewWindow),
    after: after.map(viewWindow),
    courses: after.length === 0 ? (courses ?? null) : null,
  };
}

function viewWindow({ from, until }: Window): WindowView {
  return { validFrom: from ?? null, validUntil: until ?? null };
}
