import { BufferedSplitter } from './buffer.ts';
import { pickingWords } from './picking.ts';
import { PlainKernel } from './plain.ts';
import type { Splitter, SplitterOptions } from './rows.ts';
import { schedule } from './schedule.ts';
import { WasmKernel } from './wasm.ts';

const RESERVED = new Map([
  [0x22, 'the quote'],
  [0x0a, 'a line end'],
  [0x0d, 'a line end'],
]);

/**
 * A splitter for one stream. `kernel`: where it is not named, 'wasm' if this Node.js runs it (every supported one does
 * unless told otherwise), else 'plain'; the answers are the same.
 */
export function createSplitter(options: SplitterOptions, kernel?: 'wasm' | 'plain'): Splitter {
  const { delimiter } = options;
  const reserved = RESERVED.get(delimiter);
  if (reserved) throw new RangeError(`Byte ${delimiter} is ${reserved} and cannot be the delimiter as well.`);
  const key = options.key && schedule(options.key);
  const picking = pickingWords(options.picking);
  const wasm = kernel === 'plain' ? undefined : WasmKernel.create(delimiter, key, picking);
  if (kernel === 'wasm' && !wasm)
    throw new RangeError('This Node.js runs no WebAssembly with SIMD: use the plain kernel.');
  return new BufferedSplitter(wasm ?? new PlainKernel(delimiter, key, picking));
}
