import { BufferedSplitter } from './buffer.ts';
import { PlainKernel } from './plain.ts';
import type { Splitter, SplitterOptions } from './rows.ts';
import { schedule } from './schedule.ts';

const RESERVED = new Map([
  [0x22, 'the quote'],
  [0x0a, 'a line end'],
  [0x0d, 'a line end'],
]);

/** A splitter for one stream. `kernel`: 'wasm' where it works unless told otherwise; the answers are the same. */
export function createSplitter(options: SplitterOptions, kernel: 'wasm' | 'plain' = 'plain'): Splitter {
  const { delimiter } = options;
  const reserved = RESERVED.get(delimiter);
  if (reserved) throw new RangeError(`Byte ${delimiter} is ${reserved} and cannot be the delimiter as well.`);
  const key = schedule(options.key);
  if (kernel === 'wasm') throw new RangeError('not built');
  return new BufferedSplitter(new PlainKernel(delimiter, key));
}
