/**
 * Finding rows, and matching them against the table of last night, beside SHA-256 of the same bytes in the same run:
 * npx tsx bench/rows.ts --rows 1000000 --times 7
 */
import { createHash } from 'node:crypto';
import { parseArgs } from 'node:util';
import { RowCopies } from '../src/feed/rows/copies.ts';
import { IN_DOUBT, MOST_IN_DOUBT } from '../src/feed/rows/matcher.ts';
import type { Rows, Splitter } from '../src/feed/rows/rows.ts';
import { createSplitter } from '../src/feed/rows/splitter.ts';
import { RowTable, RowTableWriter } from '../src/feed/rows/table.ts';

const CHUNK = 256 * 1024;
const options = { delimiter: 0x2c, key: Buffer.alloc(16, 7) };
/** As the example company's feed: most columns of its rows are mapped, one run of them. */
const mapped = { ...options, picking: { cells: 11, columns: [0, 1, 2, 3, 4, 5, 6] } };
const { values } = parseArgs({
  options: { rows: { type: 'string', default: '100000' }, times: { type: 'string', default: '5' } },
});
const count = Number(values.rows);

/** Some 140 bytes and 12 columns, of which two are quoted now and then. */
function row(number: number): string {
  const id = String(number).padStart(8, '0');
  const name = `Learner${(number * 7919) % 10007}`;
  const title = number % 3 === 0 ? `"Engineer, ""Grade ${number % 9}"""` : 'Engineer Level 2';
  const place = number % 5 === 0 ? '"Rotterdam, NL"' : 'Rotterdam';
  const groups = `G${number % 9973},G${number % 4999}`;
  return `E${id},${name},van der Berg,${name}.${id}@example.org,${title},${place},${groups},2024-03-01,,active,cost centre ${number % 777}\n`;
}

function file(numberOf: (row: number) => number): Buffer {
  const parts: Buffer[] = [];
  for (let from = 0; from < count; from += 1000) {
    const length = Math.min(1000, count - from);
    parts.push(Buffer.from(Array.from({ length }, (_, at) => row(numberOf(from + at))).join('')));
  }
  return Buffer.concat(parts);
}

function split(splitter: Splitter, bytes: Uint8Array, each: (rows: Rows) => void): void {
  for (let at = 0; at < bytes.length; at += CHUNK) {
    const chunk = bytes.subarray(at, at + CHUNK);
    splitter.reserve(chunk.length).set(chunk);
    each(splitter.commit(chunk.length));
  }
  each(splitter.end());
}

/** As a run does it: rows in doubt are copied, and settled at the end or when there are many. */
function match(kernel: 'wasm' | 'plain', bytes: Uint8Array): number {
  const matcher = RowTable.fromParts(parts).matcher();
  const out = new Int32Array(CHUNK);
  let doubtful = new RowCopies();
  let row = 0;
  const settle = () => {
    matcher.settle(doubtful.rows, new Int32Array(doubtful.count));
    doubtful = new RowCopies();
  };
  split(createSplitter(options, kernel), bytes, (rows) => {
    matcher.match(rows, out);
    for (let at = 0; at < rows.count; at++) if (out[at] === IN_DOUBT) doubtful.add(rows, at, row + at);
    row += rows.count;
    if (doubtful.count > MOST_IN_DOUBT) settle();
  });
  if (doubtful.count > 0) settle();
  return matcher.unmatched().length;
}

const same = file((at) => at);
const changed = file((at) => (at % 100 === 57 ? count + at : at));
/** A step that has no factor in common with the count visits every row once. */
const step =
  Array.from({ length: 50 }, (_, at) => 611_953 + at).find((candidate) => divisor(candidate, count) === 1) ?? 1;
const shuffled = file((at) => (at * step) % count);

function divisor(a: number, b: number): number {
  return b === 0 ? a : divisor(b, a % b);
}

const writer = new RowTableWriter();
split(createSplitter(options), same, ({ count, hashLow, hashHigh }) => {
  for (let row = 0; row < count; row++) writer.add(hashLow[row] as number, hashHigh[row] as number, writer.rows, 0);
});
const parts = writer.parts();

const works: Record<string, () => unknown> = {
  'SHA-256': () => createHash('sha256').update(same).digest(),
  'rows, wasm': () => split(createSplitter(options, 'wasm'), same, () => {}),
  'rows, mapped columns, wasm': () => split(createSplitter(mapped, 'wasm'), same, () => {}),
  'rows, plain': () => split(createSplitter(options, 'plain'), same, () => {}),
  'match same, wasm': () => match('wasm', same),
  'match same, plain': () => match('plain', same),
  'match 1 % changed, wasm': () => match('wasm', changed),
  'match shuffled, wasm': () => match('wasm', shuffled),
  'match shuffled, plain': () => match('plain', shuffled),
};

const taken = new Map<string, number[]>(Object.keys(works).map((name) => [name, []]));
for (let time = 0; time <= Number(values.times); time++) {
  for (const [name, work] of Object.entries(works)) {
    const before = performance.now();
    work();
    if (time > 0) taken.get(name)?.push(performance.now() - before);
  }
}

function median(list: readonly number[]): number {
  return [...list].sort((a, b) => a - b)[list.length >> 1] ?? Number.NaN;
}

const floor = median(taken.get('SHA-256') ?? []);
console.log(`${count} rows, ${(same.length / 1e6).toFixed(1)} MB; median and least of ${values.times}, in ms`);
for (const [name, list] of taken) {
  const figures = [median(list), Math.min(...list)].map((figure) => figure.toFixed(1).padStart(8)).join('');
  console.log(`${name.padEnd(28)}${figures}   ${(median(list) / floor).toFixed(2)} × SHA-256`);
}
