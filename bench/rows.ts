/** Rows a second of both kernels and of the table beside SHA-256 of the same bytes: npx tsx bench/rows.ts --rows 1000000 */
import { createHash } from 'node:crypto';
import { parseArgs } from 'node:util';
import type { Rows, Splitter } from '../src/feed/rows/rows.ts';
import { createSplitter } from '../src/feed/rows/splitter.ts';

const CHUNK = 256 * 1024;
const options = { delimiter: 0x2c, key: Buffer.alloc(16, 7) };
const { values } = parseArgs({
  options: { rows: { type: 'string', default: '100000' }, times: { type: 'string', default: '5' } },
});

/** Some 140 bytes and 12 columns a row, two of them quoted in part. */
function row(number: number): string {
  const id = String(number).padStart(8, '0');
  const name = `Learner${(number * 7919) % 10007}`;
  const title = number % 3 === 0 ? `"Engineer, ""Grade ${number % 9}"""` : 'Engineer Level 2';
  const place = number % 5 === 0 ? '"Rotterdam, NL"' : 'Rotterdam';
  return `E${id},${name},van der Berg,${name}.${id}@example.org,${title},${place},G${number % 9973},G${number % 4999},2024-03-01,,active,cost centre ${number % 777}\n`;
}

function split(splitter: Splitter, bytes: Uint8Array, each: (rows: Rows) => void): void {
  for (let at = 0; at < bytes.length; at += CHUNK) {
    const chunk = bytes.subarray(at, at + CHUNK);
    splitter.reserve(chunk.length).set(chunk);
    each(splitter.commit(chunk.length));
  }
  each(splitter.end());
}

function milliseconds(work: () => void): number {
  const before = performance.now();
  work();
  return performance.now() - before;
}

const count = Number(values.rows);
const bytes = Buffer.concat(
  Array.from({ length: Math.ceil(count / 1000) }, (_, thousand) =>
    Buffer.from(
      Array.from({ length: Math.min(1000, count - thousand * 1000) }, (_, index) => row(thousand * 1000 + index)).join(
        '',
      ),
    ),
  ),
);

const contenders: Record<string, () => void> = {
  'SHA-256': () => createHash('sha256').update(bytes).digest(),
  plain: () => split(createSplitter(options, 'plain'), bytes, () => {}),
  wasm: () => split(createSplitter(options, 'wasm'), bytes, () => {}),
};

const taken = new Map<string, number[]>(Object.keys(contenders).map((name) => [name, []]));
for (let time = 0; time <= Number(values.times); time++) {
  for (const [name, work] of Object.entries(contenders)) {
    const spent = milliseconds(work);
    if (time > 0) taken.get(name)?.push(spent);
  }
}

const median = (list: readonly number[]) => [...list].sort((a, b) => a - b)[list.length >> 1] ?? Number.NaN;
const floor = median(taken.get('SHA-256') ?? []);
console.log(`${count} rows, ${(bytes.length / 1e6).toFixed(1)} MB, medians of ${values.times}`);
for (const [name, list] of taken)
  console.log(
    `${name.padEnd(24)} ${median(list).toFixed(1).padStart(8)} ms  ${(median(list) / floor).toFixed(2)} × SHA-256`,
  );
