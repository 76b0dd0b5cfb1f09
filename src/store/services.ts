import type { Logger } from 'pino';
import type { Store } from './store.ts';

/** Time as a service: everything that asks what time it is asks here. */
export interface Clock {
  now(): Date;
}

export const systemClock: Clock = { now: () => new Date() };

/** What the stages of a run and the jobs need besides their arguments. */
export interface Services {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  /** Days for which purged results stay restorable (R11); 0 = they are gone at once. */
  readonly purgeRetentionDays: number;
}
