import type { Queues } from '../src/queue/queues.ts';
import type { Services } from '../src/store/services.ts';

/** What every job gets. */
export interface JobContext extends Services {
  readonly queues: Queues;
  /** Directory that relative paths of feeds' sources start from. */
  readonly base: string;
}
