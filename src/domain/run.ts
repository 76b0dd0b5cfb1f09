/** States of a run (R22) and which may follow which. */
export type RunState =
  | 'queued'
  | 'reading'
  | 'planned'
  | 'held'
  | 'applying'
  | 'reconciling'
  | 'completed'
  | 'failed'
  | 'cancelled'
  | 'rejected'
  | 'superseded';

const NEXT: Record<RunState, readonly RunState[]> = {
  queued: ['reading', 'applying', 'cancelled', 'failed'],
  reading: ['reading', 'planned', 'completed', 'failed', 'cancelled'],
  // A run that was killed between plan and decision is read again.
  planned: ['reading', 'held', 'applying', 'failed', 'cancelled', 'completed'],
  held: ['applying', 'rejected', 'superseded', 'cancelled', 'failed'],
  applying: ['reconciling', 'failed'],
  reconciling: ['completed', 'failed'],
  completed: [],
  failed: [],
  cancelled: [],
  rejected: [],
  superseded: [],
};

export const RUN_STATES = Object.keys(NEXT) as RunState[];

export function mayFollow(from: RunState, to: RunState): boolean {
  return NEXT[from].includes(to);
}

/** States that a run leaves by itself. */
export const WORKING: readonly RunState[] = ['queued', 'reading', 'planned', 'applying', 'reconciling'];

/** States in which a run waits for a person, or has ended. */
export function isAtRest(state: RunState, preview: boolean): boolean {
  return !isWorking(state) || (preview && state === 'planned');
}

/**
 * May a run still read its file? One that was killed between plan and decision is read again (R24), and a held plan is
 * made anew where it goes stale (R30).
 */
export function needsFile(state: RunState, preview: boolean): boolean {
  return NEEDS_FILE.has(state) || (state === 'planned' && !preview);
}
const NEEDS_FILE: ReadonlySet<RunState> = new Set(['queued', 'reading', 'held']);

export function isWorking(state: RunState): boolean {
  return WORKING.includes(state);
}
