import { expect, test } from 'vitest';
import { type Place, pageBehind } from '../../../src/http/cursors.ts';

const placeOf = ([rank, since, id]: Place) => [rank, since, id] as Place;

async function* stream(items: readonly Place[]): AsyncGenerator<Place> {
  yield* items;
}

test('a list from which items go meanwhile is paged without leaving one out, or giving one twice', async () => {
  const all: Place[] = [
    [0, '2026-01-01', 'b'],
    [0, '2026-01-02', 'a'],
    [0, '2026-01-02', 'c'],
    [1, 'r10', 9],
    [1, 'r10', 10],
    [1, 'r9', 1],
  ];
  const first = await pageBehind(stream(all), { limit: 2 }, placeOf);
  expect(first.items).toEqual(all.slice(0, 2));
  const left = all.slice(1);
  const second = await pageBehind(stream(left), { limit: 2, cursor: first.next as string }, placeOf);
  expect(second.items).toEqual(all.slice(2, 4));
  const third = await pageBehind(stream(all.slice(4)), { limit: 2, cursor: second.next as string }, placeOf);
  expect(third).toEqual({ items: all.slice(4), next: null });
  const forged = { limit: 2, cursor: Buffer.from('7').toString('base64url') };
  await expect(pageBehind(stream(all), forged, placeOf)).rejects.toThrow(/cursor is none that a list gave/);
});
