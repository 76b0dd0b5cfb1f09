import { withPatience } from '../../queue/patience.ts';
import type { Queues } from '../../queue/queues.ts';
import { learnersById } from '../../store/learners.ts';
import type { Store } from '../../store/store.ts';
import { readStructure } from '../../store/structure.ts';
import type { QueueItem } from '../retryQueue.ts';
import { keyIn, keyOf } from './key.ts';

/** An item for people: with keys in place of numbers, and its job's state in BullMQ. */
export type QueueItemView = Omit<QueueItem, 'learner' | 'newcomer' | 'groups'> & {
  readonly learner: string | null;
  readonly groups: string[];
  /** Null = BullMQ has no job of it (what is set aside is tried by the sweep), or Redis is away. */
  readonly bullmq: string | null;
};

export async function viewQueue(
  store: Store,
  queues: Queues | undefined,
  items: readonly QueueItem[],
): Promise<QueueItemView[]> {
  const structure = await readStructure(store);
  const learners = await learnersById(
    store,
    items.flatMap(({ learner }) => learner ?? []),
  );
  return Promise.all(
    items.map(async ({ newcomer, ...item }) => ({
      ...item,
      learner: newcomer ?? (item.learner === null ? null : keyIn(learners, item.learner)),
      groups: item.groups.map((id) => keyOf(structure.group(id) ?? { id })),
      bullmq: await jobState(queues, item),
    })),
  );
}

async function jobState(
  queues: Queues | undefined,
  { id, queue, state }: Pick<QueueItem, 'id' | 'queue' | 'state'>,
): Promise<string | null> {
  if (!queues || state === 'set-aside') return null;
  return withPatience(queues.stateOf(`${id}-${queue}`, queue)).catch(() => null);
}
