import { describe, expect, test } from 'vitest';
import { isWorking, mayFollow, type RunState, WORKING } from '../../../src/domain/run.ts';

const ALL: readonly RunState[] = [
  'queued',
  'reading',
  'planned',
  'held',
  'applying',
  'reconciling',
  'completed',
  'failed',
  'cancelled',
  'rejected',
  'superseded',
];
const next = (state: RunState) => ALL.filter((to) => mayFollow(state, to));

describe('R22: states of a run', () => {
  test('the way of a run that nothing stops, and of one that is held', () => {
    const way: RunState[] = ['queued', 'reading', 'planned', 'held', 'applying', 'reconciling', 'completed'];
    for (const [at, state] of way.slice(1).entries()) expect(mayFollow(way[at] as RunState, state)).toBe(true);
    expect(mayFollow('planned', 'applying')).toBe(true);
  });

  test('nothing follows on an end, and every other state has a way to one', () => {
    const ends: RunState[] = ['completed', 'failed', 'cancelled', 'rejected', 'superseded'];
    for (const state of ends) expect(next(state)).toEqual([]);
    for (const state of ALL.filter((one) => !ends.includes(one))) {
      const reached = new Set([state]);
      for (const at of reached) for (const to of next(at)) reached.add(to);
      expect(reached).toContain('failed');
      expect(reached).toContain('completed');
    }
  });

  test('only a held plan is rejected or superseded; what is being applied is not cancelled', () => {
    expect(ALL.filter((from) => mayFollow(from, 'rejected'))).toEqual(['held']);
    expect(ALL.filter((from) => mayFollow(from, 'superseded'))).toEqual(['held']);
    expect(ALL.filter((from) => mayFollow(from, 'cancelled'))).toEqual(['queued', 'reading', 'planned', 'held']);
  });

  test('nothing is applied that was not planned, but for changes by hand, which begin at applying', () => {
    expect(ALL.filter((from) => mayFollow(from, 'applying'))).toEqual(['queued', 'planned', 'held']);
    expect(ALL.filter((from) => mayFollow(from, 'reconciling'))).toEqual(['applying']);
  });

  test('a held run waits for a person; it does not work', () => {
    expect(isWorking('held')).toBe(false);
    expect(ALL.filter(isWorking)).toEqual(WORKING);
  });
});
