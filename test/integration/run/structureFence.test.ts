import { setTimeout as pause } from 'node:timers/promises';
import { beforeAll, expect, test } from 'vitest';
import type { BatchId } from '../../../src/store/models.ts';
import type { Session } from '../../../src/store/store.ts';
import { bumpStructure, fenceStructure } from '../../../src/store/structure.ts';
import { COMPANY, useMuster } from '../../harness.ts';

const muster = useMuster();
const batches = Array.from({ length: 12 }, (_, at): BatchId => ({ run: 'r7' as never, batch: 1_000_001 + at }));

/** Transactions that are all at work before the first one commits. Returns how often each had to begin. */
async function sideBySide(works: readonly ((session: Session) => Promise<unknown>)[]): Promise<number[]> {
  const begun = works.map(() => 0);
  await Promise.all(
    works.map((work, at) =>
      muster.store.transaction(async (session) => {
        begun[at] = (begun[at] as number) + 1;
        await pause(begun[at] === 1 ? 30 * at : 0);
        await work(session);
        await pause(150);
      }),
    ),
  );
  return begun;
}

beforeAll(async () => {
  await muster.structure(COMPANY);
});

test('R4: a change of structure begins again that runs into a batch, whatever lane of the fence that holds', async () => {
  for (const batch of batches) {
    const [fenced, changed] = await sideBySide([
      (session) => fenceStructure(muster.store, session, batch),
      (session) => bumpStructure(muster.store, session, { keys: 'none' }),
    ]);
    expect(fenced).toBe(1);
    expect(changed).toBeGreaterThan(1);
  }
});

test('a batch begins again that runs into a change of structure, and then sees it', async () => {
  const before = (await muster.store.transaction((s) => fenceStructure(muster.store, s, batches[0] as BatchId)))
    .revision;
  const seen: number[] = [];
  const [changed, fenced] = await sideBySide([
    (session) => bumpStructure(muster.store, session, { keys: 'none' }),
    async (session) => seen.push((await fenceStructure(muster.store, session, batches[3] as BatchId)).revision),
  ]);
  expect(changed).toBe(1);
  expect(fenced).toBeGreaterThan(1);
  expect(seen.at(-1)).toBe(before + 1);
});

test('batches of a run that follow upon each other do not hold up one another', async () => {
  const some = batches.slice(0, 4).map((batch) => (session: Session) => fenceStructure(muster.store, session, batch));
  expect(await sideBySide(some)).toEqual([1, 1, 1, 1]);
});
