import type { RunState } from './run.ts';

/** What people can be told of. `rejected-rows`: a run completed, and rows of it were rejected. */
export const NOTIFY_EVENTS = ['held', 'failed', 'rejected-rows', 'quarantine', 'recovered'] as const;
export type NotifyEvent = (typeof NOTIFY_EVENTS)[number];

/** A feed that fails or is held so many times running runs no more by itself. */
export const TROUBLES = 3;

export interface FeedHealth {
  /** Runs that failed or were held, one after another, up to the last. */
  readonly troubles: number;
  readonly quarantined: boolean;
}

export interface News {
  readonly events: readonly NotifyEvent[];
  readonly health: FeedHealth;
}

/** What there is to tell when a run of a feed reaches a state, and how the feed is then. */
export function newsOf(state: RunState, rejectedRows: number, { troubles, quarantined }: FeedHealth): News {
  if (state === 'completed') {
    const events: NotifyEvent[] = [];
    if (troubles > 0) events.push('recovered');
    if (rejectedRows > 0) events.push('rejected-rows');
    return { events, health: { troubles: 0, quarantined } };
  }
  if (state !== 'failed' && state !== 'held') return { events: [], health: { troubles, quarantined } };
  const isOver = !quarantined && troubles + 1 >= TROUBLES;
  return {
    events: isOver ? [state, 'quarantine'] : [state],
    health: { troubles: troubles + 1, quarantined: quarantined || isOver },
  };
}

/** States that are news of a feed. */
export const NEWS: readonly RunState[] = ['held', 'failed', 'completed'];
