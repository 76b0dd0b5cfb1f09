import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { createSplitter } from '../../../../src/feed/rows/splitter.ts';

const builder: string = '../../../../src/feed/rows/assembly/build.mjs';

test('kernel.wasm.ts is what its source compiles to', async () => {
  const built = (await import(builder)) as {
    kernelModule: () => Promise<string>;
  };
  expect(readFileSync(new URL('../../../../src/feed/rows/kernel.wasm.ts', import.meta.url), 'utf8')).toBe(
    await built.kernelModule(),
  );
});

/** Hashes of rows, in two words each. */
function hashes(lines: readonly string[], key = 5): Uint32Array {
  const splitter = createSplitter({ delimiter: 0x2c, key: new Uint8Array(16).fill(key) }, 'wasm');
  const { count, hashLow, hashHigh } = splitter.push(Buffer.from(lines.map((line) => `${line}\n`).join('')));
  expect(count).toBe(lines.length);
  return Uint32Array.from({ length: 2 * count }, (_, at) => ((at & 1) === 0 ? hashLow : hashHigh)[at >> 1] as number);
}

/** How many of these equal the one before them once they are sorted. */
function repeats(sorted: Uint32Array | BigUint64Array): number {
  let equal = 0;
  for (let at = 1; at < sorted.length; at++) if (sorted[at] === sorted[at - 1]) equal++;
  return equal;
}

test('a million similar rows have a million hashes, and no half collides more often than is promised', () => {
  const rows = 1_000_000;
  const found = hashes(
    Array.from({ length: rows }, (_, row) => `E${row},Learner ${row},2024-01-${10 + (row % 20)},${row % 7}`),
  );
  for (const half of [0, 1]) {
    // n²/2 pairs, each with a chance of at most 3·2⁻³²: 349 are to be expected at most.
    expect(
      repeats(Uint32Array.from({ length: rows }, (_, row) => found[2 * row + half] as number).sort()),
    ).toBeLessThan(420);
  }
  expect(repeats(new BigUint64Array(found.buffer).sort())).toBe(0);
});

test('each bit of a row turns each bit of its hash about half of the time', () => {
  const bits = 80 * 8;
  const turned = new Uint32Array(64);
  let samples = 0;
  for (let key = 1; key <= 4; key++) {
    for (let text = 0; text < 10; text++) {
      const row = `E00${text}4711,Ada Lovelace,ada.${text}@example.org,Analyst,London,2024-03-0${text},active,x`.padEnd(
        80,
        'y',
      );
      const flipped = Array.from({ length: bits }, (_, bit) => {
        const bytes = Buffer.from(row);
        bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
        return bytes.toString('latin1');
      }).filter((line) => !/[\r\n"\u0080-\u00ff]/.test(line));
      const found = hashes([row, ...flipped], key);
      for (let line = 1; line <= flipped.length; line++, samples++)
        for (let bit = 0; bit < 64; bit++) {
          const word = bit >> 5;
          turned[bit] =
            (turned[bit] as number) +
            ((((found[2 * line + word] as number) ^ (found[word] as number)) >>> (bit & 31)) & 1);
        }
    }
  }
  for (const count of turned) {
    expect(count / samples).toBeGreaterThan(0.46);
    expect(count / samples).toBeLessThan(0.54);
  }
});
