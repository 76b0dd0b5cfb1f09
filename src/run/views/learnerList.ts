import { type ExternalId, emailKey, type GroupId, type LearnerId } from '../../domain/ids.ts';
import type { Learner, LearnerStatus } from '../../domain/learner.ts';
import { toLearner } from '../../store/learners.ts';
import type { LearnerDoc } from '../../store/models.ts';
import type { Services } from '../../store/services.ts';
import type { Store } from '../../store/store.ts';
import { readStructure } from '../../store/structure.ts';
import { keyOf } from './key.ts';

/** One line of a list of learners. */
export interface LearnerRow {
  readonly id: string;
  readonly externalId: string | null;
  readonly email: string | null;
  readonly firstName: string | null;
  readonly lastName: string | null;
  readonly status: LearnerStatus;
  readonly groups: readonly string[];
}

export interface LearnerFilter {
  readonly group?: GroupId;
  readonly status?: LearnerStatus;
  /** What External ID, e-mail address, first or last name begins with. */
  readonly search?: string;
  /** In one of these groups at the least: those whom the asker may see. */
  readonly within?: readonly GroupId[];
  /** Those behind this one in the order of the list. */
  readonly after?: ListPosition;
  readonly limit: number;
}

/** A place in the order of lists: an External ID, or for learners without one the number. */
export type ListPosition = { readonly externalId: string } | { readonly id: number };

export async function listLearners({ store }: Services, filter: LearnerFilter): Promise<LearnerRow[]> {
  const structure = await readStructure(store);
  const rows: LearnerRow[] = [];
  for await (const learner of learnersInOrder(store, conditionOf(filter), filter.after)) {
    rows.push({
      id: `id:${learner.id}`,
      externalId: learner.externalId ?? null,
      email: learner.email ?? null,
      firstName: learner.firstName ?? null,
      lastName: learner.lastName ?? null,
      status: learner.status,
      groups: learner.memberships.map(({ group }) => keyOf(structure.group(group) ?? { id: group })),
    });
    if (rows.length === filter.limit) break;
  }
  return rows;
}

function conditionOf({ group, status, search, within }: LearnerFilter) {
  const begins = (text: string) => ({ $regex: `^${text.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&')}` });
  const groups = [
    ...(group === undefined ? [] : [{ 'memberships.group': group }]),
    ...(within === undefined ? [] : [{ 'memberships.group': { $in: within } }]),
  ];
  return {
    ...(groups.length > 0 && { $and: groups }),
    ...(status !== undefined && { status }),
    ...(search !== undefined && {
      $or: [
        { externalId: begins(search) as never },
        { emailKey: begins(emailKey(search)) },
        { firstName: { ...begins(search), $options: 'i' } },
        { lastName: { ...begins(search), $options: 'i' } },
      ],
    }),
  };
}

/**
 * Learners in the stable order of lists and exports: by External ID, then those without one by number. Streamed from
 * the indexes.
 */
export async function* learnersInOrder(
  store: Store,
  condition: object = {},
  after?: ListPosition,
): AsyncGenerator<Learner> {
  const named = {
    externalId: after && 'externalId' in after ? { $gt: after.externalId as ExternalId } : { $exists: true },
  };
  const others = {
    externalId: { $exists: false },
    ...(after && 'id' in after && { _id: { $gt: after.id as LearnerId } }),
  };
  const cursors = [
    ...(after && 'id' in after
      ? []
      : [store.learners.find<LearnerDoc>({ $and: [condition, named] }).sort({ externalId: 1 })]),
    store.learners.find<LearnerDoc>({ $and: [condition, others] }).sort({ _id: 1 }),
  ];
  for (const cursor of cursors) for await (const doc of cursor) yield toLearner(doc);
}
