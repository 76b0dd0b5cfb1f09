import { emailKey, type GroupId } from '../../domain/ids.ts';
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
  readonly limit: number;
}

export async function listLearners({ store }: Services, filter: LearnerFilter): Promise<LearnerRow[]> {
  const structure = await readStructure(store);
  const rows: LearnerRow[] = [];
  for await (const learner of learnersInOrder(store, conditionOf(filter))) {
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

function conditionOf({ group, status, search }: LearnerFilter) {
  const begins = (text: string) => ({ $regex: `^${text.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&')}` });
  return {
    ...(group !== undefined && { 'memberships.group': group }),
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
export async function* learnersInOrder(store: Store, condition: object = {}): AsyncGenerator<Learner> {
  const cursors = [
    store.learners.find<LearnerDoc>({ $and: [condition, { externalId: { $exists: true } }] }).sort({ externalId: 1 }),
    store.learners.find<LearnerDoc>({ $and: [condition, { externalId: { $exists: false } }] }).sort({ _id: 1 }),
  ];
  for (const cursor of cursors) for await (const doc of cursor) yield toLearner(doc);
}
