/** Numbers that look random and are the same everywhere: functions of a seed, without state. */

/** An even spread of 32 bits (the finaliser of MurmurHash3). */
function mix(bits: number): number {
  let h = bits;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** 32 bits of two numbers; to draw of more, feed the result in again. */
export function draw(seed: number, of: number): number {
  return mix(Math.imul(seed, 0x9e3779b1) ^ mix(of + 0x7f4a7c15));
}

/** A number below `size` that is near 0 more often than near `size`. */
export function skewed(bits: number, size: number): number {
  const unit = bits / 0x1_0000_0000;
  return Math.floor(unit * unit * size);
}

/**
 * A seeded order of 0 … size − 1 without an array of them: a four-round Feistel network over the next even
 * number of bits, walked until it falls below `size`.
 */
export function permutation(seed: number, size: number): (place: number) => number {
  const half = Math.max(1, Math.ceil(Math.ceil(Math.log2(Math.max(size, 2))) / 2));
  const mask = 2 ** half - 1;
  const keys = [1, 2, 3, 4].map((round) => draw(seed, round));
  const step = (place: number): number => {
    let left = place >>> half;
    let right = place & mask;
    for (const key of keys) [left, right] = [right, left ^ (draw(key, right) & mask)];
    return ((left << half) | right) >>> 0;
  };
  return (place) => {
    let image = step(place);
    while (image >= size) image = step(image);
    return image;
  };
}
