/**
 * The kernel of ../plain.ts and ../hash.ts once more, in AssemblyScript with SIMD. `npm run build:wasm` makes
 * ../kernel.wasm.ts of it. Memory: the key schedule at 0, the words of the scan's state behind it, then those of the
 * picking and room for picked cells; the caller says where the rest lies. 64 bytes behind the input must be readable.
 */
const BLOCK: usize = 1024;
const SEEDS: usize = BLOCK + 16;
const MULTIPLIERS: usize = SEEDS + 16;
const STATE: usize = MULTIPLIERS + 16;
const PICKING: usize = STATE + 16;
const PICKED: usize = PICKING + 256;
const LONGEST_PICKED: usize = 4096;

const LF: u32 = 0x0a;
const CR: u32 = 0x0d;
const QUOTE: u32 = 0x22;

/**
 * Writes start, end and, where rows are `hashed`, the two halves of the hash into four arrays of `capacity` words at
 * `rows`; the rows found.
 */
export function scan(
  input: usize,
  filled: usize,
  last: bool,
  delimiter: u32,
  rows: usize,
  capacity: usize,
  hashed: bool,
): u32 {
  let rowStart: usize = load<u32>(STATE);
  let at: usize = load<u32>(STATE, 4);
  let quoted: bool = load<u32>(STATE, 8) == 1;
  let afterCr: bool = load<u32>(STATE, 12) == 1;
  let row: usize = rows;

  // A quote that is the last byte so far may be half of a doubled one: it waits for what follows.
  const stop = !last && filled > 0 && load<u8>(input + filled - 1) == QUOTE ? filled - 1 : filled;
  while (at < stop) {
    const base = at;
    let found = specials(input + base);
    if (stop - base < 64) found &= ((<u64>1) << (stop - base)) - 1;
    while (found != 0) {
      const here = base + <usize>ctz(found);
      found &= found - 1;
      if (here < at) continue;
      const byte: u32 = load<u8>(input + here);
      if (byte == QUOTE) {
        if (!quoted) {
          quoted = here == rowStart || load<u8>(input + here - 1) == delimiter;
        } else if (here + 1 < filled && load<u8>(input + here + 1) == QUOTE) {
          at = here + 2;
        } else {
          quoted = false;
        }
      } else if (!quoted) {
        if (byte == LF && afterCr && here == rowStart) {
          afterCr = false;
        } else {
          write(row, capacity, input, rowStart, here, delimiter, hashed);
          row += 4;
          afterCr = byte == CR;
        }
        rowStart = here + 1;
      }
    }
    at = max(at, min(base + 64, stop));
  }
  if (last && filled > rowStart) {
    write(row, capacity, input, rowStart, filled, delimiter, hashed);
    row += 4;
    rowStart = filled;
  }
  store<u32>(STATE, rowStart);
  store<u32>(STATE, at, 4);
  store<u32>(STATE, quoted, 8);
  store<u32>(STATE, afterCr && at == rowStart, 12);
  return <u32>((row - rows) >> 2);
}

/** A bit for each of 64 bytes that is a quote or a line end. */
function specials(at: usize): u64 {
  return (
    <u64>special(at) |
    ((<u64>special(at + 16)) << 16) |
    ((<u64>special(at + 32)) << 32) |
    ((<u64>special(at + 48)) << 48)
  );
}

function special(at: usize): u32 {
  const bytes = v128.load(at);
  return i8x16.bitmask(
    v128.or(
      i8x16.eq(bytes, i8x16.splat(<i8>QUOTE)),
      v128.or(i8x16.eq(bytes, i8x16.splat(<i8>LF)), i8x16.eq(bytes, i8x16.splat(<i8>CR))),
    ),
  );
}

function write(
  row: usize,
  capacity: usize,
  input: usize,
  start: usize,
  end: usize,
  delimiter: u32,
  hashed: bool,
): void {
  const column = capacity << 2;
  store<u32>(row, start);
  store<u32>(row + column, end);
  if (!hashed) return;
  const picked = pick(input + start, input + end, delimiter);
  const hash = picked > 0 ? digest(PICKED, picked, (<u64>1) << 32) : digest(input + start, end - start, 0);
  store<u32>(row + 2 * column, <u32>hash);
  store<u32>(row + 3 * column, <u32>(hash >> 32));
}

/** Copies the picked cells of a row to `PICKED`, each with the delimiter behind it. How many bytes; 0 = hash the row. */
function pick(start: usize, end: usize, delimiter: u32): usize {
  const cells: u32 = load<u32>(PICKING);
  if (cells == 0 || end - start > LONGEST_PICKED) return 0;
  let next: usize = PICKING + 4;
  let boundary: u32 = load<u32>(next);
  let to: usize = PICKED;
  // Where cells that are picked begin; 0 = these are not.
  let from: usize = 0;
  if (boundary == 0) {
    from = start;
    next += 4;
    boundary = load<u32>(next);
  }
  let cell: u32 = 0;
  let quoted: bool = false;
  let at = start;
  for (let base = start; base < end; base += 64) {
    const inside: u64 = end - base < 64 ? ((<u64>1) << (end - base)) - 1 : -1;
    let ends = bitsOf(base, delimiter) & inside;
    const quotes = bitsOf(base, QUOTE) & inside;
    if (quotes != 0) {
      // Delimiters within quotes end no cell.
      let marks = ends | quotes;
      while (marks != 0) {
        const bit = marks & -marks;
        marks ^= bit;
        const here = base + <usize>ctz(bit);
        if (here < at) continue;
        if (quoted) ends &= ~bit;
        if ((bit & quotes) == 0) continue;
        if (!quoted) {
          quoted = here == start || <u32>load<u8>(here - 1) == delimiter;
        } else if (here + 1 < end && <u32>load<u8>(here + 1) == QUOTE) {
          at = here + 2;
        } else {
          if (here + 1 < end && <u32>load<u8>(here + 1) != delimiter) return 0;
          quoted = false;
        }
      }
    } else if (quoted) {
      continue;
    }
    let count = <u32>popcnt(ends);
    while (cell + count >= boundary) {
      for (; cell + 1 < boundary; cell++) ends &= ends - 1;
      const behind = base + <usize>ctz(ends) + 1;
      ends &= ends - 1;
      count = <u32>popcnt(ends);
      cell = boundary;
      if (from != 0) {
        to = copied(from, behind, to);
        from = 0;
      } else {
        from = behind;
      }
      next += 4;
      boundary = load<u32>(next);
    }
    cell += count;
  }
  if (quoted || cell + 1 != cells) return 0;
  if (from != 0) {
    to = copied(from, end, to);
    store<u8>(to, <u8>delimiter);
    to += 1;
  }
  return to - PICKED;
}

/** Copies bytes, sixteen at once, and gives the place behind them. */
function copied(from: usize, end: usize, to: usize): usize {
  for (let at: usize = 0; from + at < end; at += 16) v128.store(to + at, v128.load(from + at));
  return to + (end - from);
}

/** A bit for each of 64 bytes that is this one. */
function bitsOf(at: usize, byte: u32): u64 {
  const wanted = i8x16.splat(<i8>byte);
  return (
    <u64>i8x16.bitmask(i8x16.eq(v128.load(at), wanted)) |
    ((<u64>i8x16.bitmask(i8x16.eq(v128.load(at, 16), wanted))) << 16) |
    ((<u64>i8x16.bitmask(i8x16.eq(v128.load(at, 32), wanted))) << 32) |
    ((<u64>i8x16.bitmask(i8x16.eq(v128.load(at, 48), wanted))) << 48)
  );
}

function digest(start: usize, length: usize, mark: u64): u64 {
  let stateA = load<u64>(SEEDS) + <u64>length + mark;
  let stateB = load<u64>(SEEDS, 8) + <u64>length + mark;
  let at = start;
  const end = start + length;
  do {
    const to = min(end, at + BLOCK);
    let key: usize = 0;
    let keys = v128.load(key);
    let sumA = i64x2.splat(0);
    let sumB = i64x2.splat(0);
    while (at < to) {
      let words = v128.load(at);
      if (at + 16 > to) words = v128.and(words, firstBytes(to - at));
      sumA = i64x2.add(sumA, products(words, keys));
      key += 16;
      keys = v128.load(key);
      sumB = i64x2.add(sumB, products(words, keys));
      at += 16;
    }
    stateA = absorb(stateA, sumA, MULTIPLIERS);
    stateB = absorb(stateB, sumB, MULTIPLIERS + 8);
  } while (at < end);
  const low = scramble(<u32>stateA);
  const high = scramble(<u32>stateB);
  return max(((<u64>high) << 32) | <u64>low, 1);
}

function products(words: v128, keys: v128): v128 {
  const sums = i32x4.add(words, keys);
  return i64x2.extmul_low_i32x4_u(sums, v128.shuffle<i32>(sums, sums, 2, 3, 0, 1));
}

/** A mask that keeps the first `count` bytes of sixteen. */
function firstBytes(count: usize): v128 {
  return i8x16.lt_u(i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), i8x16.splat(<i8>count));
}

function absorb(state: u64, sums: v128, multiplier: usize): u64 {
  const sum = state + i64x2.extract_lane(sums, 0) + i64x2.extract_lane(sums, 1);
  return rotr<u64>(sum * load<u64>(multiplier), 32);
}

function scramble(word: u32): u32 {
  let mixed = (word ^ (word >> 16)) * 0x85ebca6b;
  mixed = (mixed ^ (mixed >> 13)) * 0xc2b2ae35;
  return mixed ^ (mixed >> 16);
}
