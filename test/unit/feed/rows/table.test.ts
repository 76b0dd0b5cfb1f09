import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { IN_DOUBT, NEW_ROW } from '../../../../src/feed/rows/matcher.ts';
import type { Rows } from '../../../../src/feed/rows/rows.ts';
import {
  LEFT,
  LOOK_AGAIN,
  PART_BYTES,
  REPEATED,
  RowTable,
  RowTableWriter,
  renumbered,
  withoutLearners,
} from '../../../../src/feed/rows/table.ts';

type Hash = readonly [low: number, high: number];

function tableOf(hashes: readonly Hash[]): RowTable {
  const writer = new RowTableWriter();
  for (const [row, [low, high]] of hashes.entries()) writer.add(low, high, row + 100, row % 2);
  return RowTable.fromParts(writer.parts());
}

function rowsOf(hashes: readonly Hash[]): Rows {
  return {
    bytes: new Uint8Array(),
    count: hashes.length,
    start: new Uint32Array(hashes.length),
    end: new Uint32Array(hashes.length),
    hashLow: Uint32Array.from(hashes, ([low]) => low),
    hashHigh: Uint32Array.from(hashes, ([, high]) => high),
    offset: 0,
  };
}

/** Matches in chunks of so many rows; those in doubt are settled once there are more than so many of them, and at the end. */
function matchAll(table: RowTable, hashes: readonly Hash[], chunk = hashes.length || 1, doubtful = 0) {
  const matcher = table.matcher();
  const matches: number[] = [];
  let doubts: number[] = [];
  const settle = () => {
    const out = new Int32Array(doubts.length);
    matcher.settle(rowsOf(doubts.map((at) => hashes[at] as Hash)), out);
    for (const [at, match] of out.entries()) matches[doubts[at] as number] = match;
    doubts = [];
  };
  for (let at = 0; at < hashes.length; at += chunk) {
    const rows = rowsOf(hashes.slice(at, at + chunk));
    const out = new Int32Array(rows.count + 1);
    matcher.match(rows, out);
    for (const [offset, match] of out.subarray(0, rows.count).entries()) {
      matches.push(match);
      if (match === IN_DOUBT) doubts.push(at + offset);
    }
    if (doubts.length > doubtful) settle();
  }
  if (doubts.length > 0) settle();
  return { matches, unmatched: [...matcher.unmatched()] };
}

// Few values, equal in one half or in the slot of the index, so that repeats and collisions are the rule.
const hash = fc.tuple(fc.constantFrom(0, 1, 2, 3, 65_537, 2 ** 32 - 1), fc.constantFrom(0, 1, 2 ** 31));

describe('matching a file against the table', () => {
  test('agrees with a multiset after any edits, moves and repeats', () =>
    fc.assert(
      fc.property(
        fc.array(hash, { maxLength: 60 }),
        fc.array(
          fc.record({
            kind: fc.constantFrom('edit', 'move', 'repeat', 'drop'),
            from: fc.nat(80),
            to: fc.nat(80),
            hash,
          }),
          { maxLength: 20 },
        ),
        fc.integer({ min: 1, max: 30 }),
        fc.constantFrom(0, 5, 1000),
        (before, edits, chunk, doubtful) => {
          const after = [...before];
          for (const { kind, from, to, hash } of edits) {
            const [old] = kind === 'repeat' ? after.slice(from, from + 1) : after.splice(from, 1);
            if (kind === 'edit' || (kind !== 'drop' && old)) after.splice(to, 0, kind === 'edit' || !old ? hash : old);
          }
          const { matches, unmatched } = matchAll(tableOf(before), after, chunk, doubtful);

          const left = new Map<string, number>();
          for (const [low, high] of before)
            if (low !== 0 || high !== 0) left.set(`${low}/${high}`, (left.get(`${low}/${high}`) ?? 0) + 1);
          for (const [row, [low, high]] of after.entries()) {
            const match = matches[row] as number;
            const remaining = left.get(`${low}/${high}`) ?? 0;
            if (match < 0) continue;
            expect(remaining).toBeGreaterThan(0);
            expect(before[match]).toEqual([low, high]);
            left.set(`${low}/${high}`, remaining - 1);
          }
          const news = after.filter((_, row) => matches[row] === NEW_ROW);
          for (const [low, high] of news) expect(left.get(`${low}/${high}`) ?? 0).toBe(0);
          const found = matches.filter((match) => match >= 0);
          expect(matches).not.toContain(IN_DOUBT);
          expect(new Set(found).size).toBe(found.length);
          expect([...found, ...unmatched].sort((a, b) => a - b)).toEqual([...before.keys()]);
          expect(unmatched).toEqual([...unmatched].sort((a, b) => a - b));
        },
      ),
      { numRuns: 2000 },
    ));

  test('a file in the order of the table finds each row in its place, also repeated ones', () => {
    const hashes: Hash[] = [
      [1, 1],
      [5, 5],
      [1, 1],
      [1, 1],
      [2, 0],
      [0, 2],
    ];
    expect(matchAll(tableOf(hashes), hashes, 4)).toEqual({ matches: [0, 1, 2, 3, 4, 5], unmatched: [] });
  });

  test('goes on in order behind a row that was moved, changed or removed', () => {
    const table = tableOf([
      [1, 1],
      [2, 2],
      [3, 3],
      [4, 4],
      [5, 5],
    ]);
    expect(
      matchAll(table, [
        [9, 9],
        [3, 3],
        [4, 4],
        [1, 1],
        [5, 5],
      ]),
    ).toEqual({ matches: [-1, 2, 3, 0, 4], unmatched: [1] });
  });

  test('R21: a row to look at again is never found, and counts as lost', () => {
    const { hashLow, hashHigh } = LOOK_AGAIN;
    const hashes: Hash[] = [
      [1, 1],
      [hashLow, hashHigh],
      [3, 3],
    ];
    expect(
      matchAll(tableOf(hashes), [
        [1, 1],
        [2, 2],
        [hashLow, hashHigh],
        [3, 3],
      ]),
    ).toEqual({ matches: [0, -1, -1, 2], unmatched: [1] });
  });

  test('one row a hundred thousand times in another order takes no longer than other rows', () => {
    const equal = Array.from({ length: 100_000 }, (): Hash => [7, 7]);
    const { matches, unmatched } = matchAll(tableOf([...equal, [8, 8]]), [[8, 8], ...equal, [7, 7]], 1000);
    expect(matches.slice(0, 3)).toEqual([100_000, 1, 2]);
    expect(matches.at(-1)).toBe(-1);
    expect(unmatched).toEqual([]);
  });

  test('an empty table finds nothing', () => {
    expect(matchAll(RowTable.fromParts([]), [[1, 1]])).toEqual({ matches: [-1], unmatched: [] });
    expect(() =>
      RowTable.fromParts([])
        .matcher()
        .match(rowsOf([[1, 1]]), new Int32Array(0)),
    ).toThrow('1 rows do not fit into 0');
  });
});

describe('the parts of a table', () => {
  test('are full but for the last, and give back what was written', () => {
    const parts: Uint8Array[] = [];
    const writer = new RowTableWriter((part) => parts.push(part));
    const rows = 200_000;
    for (let row = 0; row < rows; row++) writer.add(row, 2 ** 32 - 1 - row, row * 3, row % 5 === 0 ? REPEATED : 0);
    expect(parts).toHaveLength(2);
    writer.end();
    expect(writer.rows).toBe(rows);
    expect(parts.map((part) => part.length)).toEqual([PART_BYTES, PART_BYTES, rows * 12 - 2 * PART_BYTES]);
    const table = RowTable.fromParts(parts);
    expect(table.rows).toBe(rows);
    for (const row of [0, 1, 87_380, 87_381, rows - 1])
      expect([table.hashLow(row), table.hashHigh(row), table.learner(row), table.flags(row)]).toEqual([
        row,
        2 ** 32 - 1 - row,
        row * 3,
        row % 5 === 0 ? REPEATED : 0,
      ]);
    expect(() => table.learner(rows)).toThrow('no row 200000');
  });

  test('take over rows of another table in any pieces, across parts', () => {
    const source = tableOf(Array.from({ length: 200_000 }, (_, at): Hash => [at, 2 ** 32 - 1 - at]));
    const writer = new RowTableWriter();
    const pieces = [
      [5, 1],
      [0, 90_000],
      [199_999, 1],
      [40_000, 120_000],
    ] as const;
    for (const [row, count] of pieces) writer.addFrom(source, row, count);
    const table = RowTable.fromParts(writer.parts());
    const rows = pieces.flatMap(([row, count]) => Array.from({ length: count }, (_, at) => row + at));
    expect([table.rows, writer.rows]).toEqual([rows.length, rows.length]);
    const isSame = (row: number, at: number) =>
      table.hashLow(at) === row && table.hashHigh(at) === 2 ** 32 - 1 - row && table.learner(at) === row + 100;
    expect(rows.every(isSame)).toBe(true);
  });

  test('name learners and flags in one word, and no learner whose number does not fit', () => {
    const writer = new RowTableWriter();
    writer.add(1, 1, 2 ** 30 - 1, REPEATED | LEFT);
    expect(() => writer.add(1, 1, 2 ** 30, 0)).toThrow('Learner 1073741824 is beyond');
    const table = RowTable.fromParts(writer.parts());
    expect([table.rows, table.learner(0), table.flags(0)]).toEqual([1, 2 ** 30 - 1, REPEATED | LEFT]);
    const [part] = writer.parts() as [Uint8Array];
    expect(withoutLearners(part, new Set([2 ** 30 - 1]))).toHaveLength(0);
  });

  test('give learners other numbers, and keep hashes, flags and all others as they are', () => {
    const writer = new RowTableWriter();
    // Hashes that look like the numbers to be changed.
    for (let row = 0; row < 9; row += 1) writer.add(row % 2, 3, row, row % 3 === 0 ? LEFT : 0);
    const [part] = writer.parts() as [Uint8Array];
    const table = RowTable.fromParts([
      renumbered(
        part,
        new Map([
          [0, 70],
          [3, 2 ** 30 - 1],
          [8, 71],
        ]),
      ),
    ]);
    const rows = Array.from({ length: 9 }, (_, row) => [table.hashLow(row), table.hashHigh(row), table.flags(row)]);
    expect(rows).toEqual(Array.from({ length: 9 }, (_, row) => [row % 2, 3, row % 3 === 0 ? LEFT : 0]));
    expect(rows.map((_, row) => table.learner(row))).toEqual([70, 1, 2, 2 ** 30 - 1, 4, 5, 6, 7, 71]);
  });

  test('may lie anywhere in memory and be cut between any rows', () => {
    const writer = new RowTableWriter();
    const source = tableOf([
      [1, 2],
      [3, 4],
      [5, 6],
    ]);
    for (const row of [2, 0, 1]) writer.addFrom(source, row);
    const [whole] = writer.parts() as [Uint8Array];
    const shifted = Buffer.concat([Buffer.from('x'), whole]).subarray(1);
    const table = RowTable.fromParts([shifted.subarray(0, 12), shifted.subarray(12)]);
    expect([0, 1, 2].map((row) => [table.hashLow(row), table.learner(row)])).toEqual([
      [5, 102],
      [1, 100],
      [3, 101],
    ]);
    expect(() => RowTable.fromParts([whole.subarray(0, 17)])).toThrow('17 bytes, which are no whole rows of 12');
  });
});
