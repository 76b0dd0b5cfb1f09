import { expect, test, vi } from 'vitest';
import { every, roundsOf } from '../../../src/schedule/rounds.ts';

const never = () => new Error('a round failed');

test('one round at a time: whoever begins another gets the one under way', async () => {
  const ends: (() => void)[] = [];
  const work = vi.fn(() => new Promise<void>((resolve) => ends.push(resolve)));
  const rounds = roundsOf(work, never);
  const all = [rounds.begin(), rounds.begin(), rounds.begin()];
  expect(work).toHaveBeenCalledTimes(1);
  ends[0]?.();
  await Promise.all(all);
  void rounds.begin();
  expect(work).toHaveBeenCalledTimes(2);
  ends[1]?.();
  await rounds.stop();
});

test('a round that fails says so, and the next is begun as usual', async () => {
  const failed = vi.fn();
  const work = vi.fn(() => Promise.reject(new Error('the database is away')));
  const rounds = roundsOf(work, failed);
  await rounds.begin();
  await rounds.begin();
  expect(work).toHaveBeenCalledTimes(2);
  expect(failed).toHaveBeenCalledTimes(2);
});

test('stopping tells the round under way, waits for its end, and begins no other', async () => {
  const work = vi.fn(
    (stopping: AbortSignal) => new Promise<void>((resolve) => stopping.addEventListener('abort', () => resolve())),
  );
  const rounds = every(1, work, never);
  await rounds.stop();
  expect(work).toHaveBeenCalledTimes(1);
  const told = roundsOf(work, never);
  await told.stop();
  await told.begin();
  expect(work).toHaveBeenCalledTimes(1);
});
