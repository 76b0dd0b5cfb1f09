import type { Queues } from '../queue/queues.ts';
import type { Services } from '../store/services.ts';

/** What the HTTP side needs of the environment. */
export interface HttpContext extends Services {
  /** The producers' side of the queue; answers do without it where Redis cannot be reached. */
  readonly queues: Queues;
  /** Directory that relative paths of feeds' sources start from. */
  readonly base: string;
  /** Directory in which uploads lie until their run has read them; all workers see it under the same path. */
  readonly uploads: string;
  readonly version: string;
}
