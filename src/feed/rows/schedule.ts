import { hkdfSync } from 'node:crypto';

/** Bytes that one block of the row hash takes in; a longer row is hashed block by block. */
export const BLOCK = 1024;
const KEY_WORDS = BLOCK / 4 + 4;
/** Bytes of a schedule. */
export const SCHEDULE_BYTES = (KEY_WORDS + 8) * 4;
/** Names the hash: tables of another one are not compared. */
export const ROW_HASH = 'muster row hash 2';

/**
 * The key of the row hash, stretched to what both kernels read, as 32-bit little-endian words: 260 words added to
 * the row's words (pass B starts at the fifth), then for each of the two passes a 64-bit seed, then for each an
 * odd 64-bit multiplier.
 */
export function schedule(key: Uint8Array): Uint32Array {
  if (key.length !== 16) throw new RangeError(`The key of the row hash has 16 bytes, not ${key.length}.`);
  const view = new DataView(hkdfSync('sha256', key, '', ROW_HASH, SCHEDULE_BYTES));
  const words = Uint32Array.from({ length: KEY_WORDS + 8 }, (_, word) => view.getUint32(word * 4, true));
  for (const multiplier of [KEY_WORDS + 4, KEY_WORDS + 6]) words[multiplier] = (words[multiplier] as number) | 1;
  return words;
}
