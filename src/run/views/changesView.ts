import type { FieldChange, MembershipChange } from '../../domain/change.ts';
import type { GroupId, LearnerId } from '../../domain/ids.ts';
import type { Learner, Window } from '../../domain/learner.ts';
import type { Structure } from '../../domain/structure.ts';
import { learnersById } from '../../store/learners.ts';
import type { RunDoc } from '../../store/models.ts';
import { ofRun } from '../../store/outbox.ts';
import type { Services } from '../../store/services.ts';
import { readStructure } from '../../store/structure.ts';
import type { Outcome } from '../outcome.ts';
import { keyOf } from './key.ts';

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
  for await (const { changes } of store.batches.find({ ...ofRun(run._id), '_id.batch': attempt }).sort({ _id: 1 })) {
    const learners = await learnersById(
      store,
      changes.map(({ learner }) => learner),
    );
    for (const change of changes) {
      yield {
        ...whoIs(change.learner, learners.get(change.learner), change.create?.externalId),
        created: change.create !== undefined,
        fields: change.create ? fieldsOf(change.create) : change.fields.map(viewField),
        memberships: change.memberships.map((one) => viewMembership(one, nameOf)),
        rows: change.rows ?? [],
      };
    }
  }
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
