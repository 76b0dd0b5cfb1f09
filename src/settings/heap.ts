import { setFlagsFromString } from 'node:v8';

/** By how much the heap may grow beyond what is alive before garbage is collected, per cent. */
const GROWTH = 60;

/**
 * Keeps this process small: left alone, V8 lets the heap grow to some four times what is alive. Measured in
 * docs/decisions/0004-memory.md.
 */
export function keepHeapSmall(): void {
  setFlagsFromString(`--heap-growing-percent=${GROWTH}`);
}
