import type { FieldChange, MembershipChange } from '../../domain/change.ts';
import type { CourseId, GroupId, LearnerId } from '../../domain/ids.ts';
import type { Learner, Window } from '../../domain/learner.ts';
import type { Course, Structure } from '../../domain/structure.ts';
import { learnersById } from '../../store/learners.ts';
import type { OvertakenDoc, Restore, RunDoc } from '../../store/models.ts';
import { ofRun } from '../../store/outbox.ts';
import type { Services } from '../../store/services.ts';
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
  /** Rows of the file that say so. */
  readonly rows: readonly number[];
  /** Of an undo: grants and results that it puts back or takes back. */
  readonly restored: readonly string[];
  /** Of an undo: what newer changes overtook, so that it stays as it is. */
  readonly overtaken: readonly string[];
}

export interface WindowView {
  readonly validFrom: Date | null;
  readonly validUntil: Date | null;
}

/** Every change of a run's plan, in its order. */
export async function* changesOf({ store }: Services, run: RunDoc): AsyncGenerator<ChangeView> {
  const structure = await readStructure(store);
  const made = new Map(
    (run.outcome as Partial<Outcome> | undefined)?.newGroups?.map(({ id, externalId }) => [id, externalId]),
  );
  const nameOf = (id: GroupId) => groupName(structure, made, id);
  const attempt = { $gte: run.attempt * 1_000_000, $lt: (run.attempt + 1) * 1_000_000 };
  const courses = run.undoes ? await readCourses(store) : new Map<CourseId, Course>();
  for await (const batch of store.batches.find({ ...ofRun(run._id), '_id.batch': attempt }).sort({ _id: 1 })) {
    const { changes, restores = [], overtaken = [] } = batch;
    const changed = new Map(changes.map((change) => [change.learner, change]));
    const ids = [...new Set([...changed.keys(), ...[...restores, ...overtaken].map(({ learner }) => learner)])];
    const learners = await learnersById(store, ids);
    for (const id of ids) {
      const { create, fields = [], memberships = [], rows = [] } = changed.get(id) ?? {};
      yield {
        ...whoIs(id, learners.get(id), create?.externalId),
        created: create !== undefined,
        fields: create ? fieldsOf(create) : fields.map(viewField),
        memberships: memberships.map((one) => viewMembership(one, nameOf)),
        rows,
        restored: restores.filter(({ learner }) => learner === id).flatMap((one) => viewRestore(one, courses)),
        overtaken: overtaken.filter(({ learner }) => learner === id).map((one) => viewOvertaken(one, nameOf, courses)),
      };
    }
  }
}

function viewRestore({ grant, revoke, purged }: Restore, courses: ReadonlyMap<CourseId, Course>): string[] {
  return [
    ...grant.map((course) => `${keyIn(courses, course)}: direct grant made again`),
    ...revoke.map((course) => `${keyIn(courses, course)}: direct grant taken back`),
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
