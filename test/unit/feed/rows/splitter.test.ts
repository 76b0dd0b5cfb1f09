import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LONGEST_ROW, RowTooLong } from '../../../../src/feed/rows/buffer.ts';
import type { Rows, Splitter } from '../../../../src/feed/rows/rows.ts';
import { createSplitter } from '../../../../src/feed/rows/splitter.ts';
import { hashModel, pickModel, splitModel } from './model.ts';

const key = Uint8Array.from({ length: 16 }, (_, at) => 11 * at + 3);
const options = { delimiter: 0x2c, key };
const kernels = ['plain', 'wasm'] as const;

interface Row {
  readonly position: number;
  readonly text: string;
  readonly hash: string;
}

/** Everything a splitter says of a text that comes in chunks of these sizes, the last size for the rest. */
function read(splitter: Splitter, text: Buffer, sizes: readonly number[]): { rows: Row[]; openQuote: boolean } {
  const rows: Row[] = [];
  const take = ({ bytes, count, start, end, hashLow, hashHigh, offset }: Rows) => {
    for (let row = 0; row < count; row++) {
      const from = start[row] as number;
      const text = Buffer.from(bytes.subarray(from, end[row])).toString('latin1');
      rows.push({ position: offset + from, text, hash: `${hashHigh[row]}/${hashLow[row]}` });
    }
  };
  for (let at = 0, chunk = 0; at < text.length; chunk++) {
    const size = sizes[Math.min(chunk, sizes.length - 1)] as number;
    take(splitter.push(text.subarray(at, at + size)));
    at += size;
  }
  const end = splitter.end();
  take(end);
  return { rows, openQuote: end.openQuote };
}

const texts = (longest: number) =>
  fc
    .array(
      fc.oneof(
        { weight: 3, arbitrary: fc.constantFrom('"', '""', ',', ',"', '",', '\r', '\n', '\r\n') },
        fc.constantFrom('a', 'é', 'some text of more than sixteen bytes', 'Ω'.repeat(40)),
        fc.string({ maxLength: 20 }),
      ),
      { maxLength: longest },
    )
    .map((pieces) => Buffer.from(pieces.join('')));

/** A line of about so many cells, quoted soundly or not. */
const lineOf = (cells: number) =>
  fc
    .array(
      fc.oneof(
        fc.constantFrom('', 'a', '"a"', '"a,b"', '"a ""b"""', 'a"b', '"a"b', '"a" ', ' "a"', '"', 'é'),
        fc.string({ maxLength: 40 }),
        fc.constant('x'.repeat(70)),
      ),
      { minLength: cells - 1, maxLength: cells + 1 },
    )
    .map((all) => all.join(',').replace(/[\r\n]/g, ' '));

describe.each(kernels)('the %s kernel', (kernel) => {
  test('finds the rows that a byte-by-byte reading of the rules finds, in chunks of any sizes', () =>
    fc.assert(
      fc.property(
        texts(60),
        fc.array(fc.integer({ min: 1, max: 70 }), { minLength: 1, maxLength: 8 }),
        (text, sizes) => {
          const { rows, openQuote } = read(createSplitter(options, kernel), text, sizes);
          const model = splitModel(text, options.delimiter);
          expect(rows.map(({ position, text }) => ({ position, text }))).toEqual(model.rows);
          expect(openQuote).toBe(model.openQuote);
        },
      ),
      { numRuns: 500 },
    ));

  test('gives the same rows and hashes whatever the size of the chunks', () => {
    const text = Buffer.from(
      'id,name\r\n1,"a ""quoted"", name\r\nof two lines"\r2,plain\n\r\n\n"3","x"y"z,"\r\n4,"shut\n5,"open\n',
    );
    const whole = read(createSplitter(options, kernel), text, [text.length]);
    expect(whole.rows.map(({ text }) => text)).toEqual([
      'id,name',
      '1,"a ""quoted"", name\r\nof two lines"',
      '2,plain',
      '',
      '',
      '"3","x"y"z,"\r\n4,"shut',
      '5,"open\n',
    ]);
    expect(whole.openQuote).toBe(true);
    for (let size = 1; size < text.length; size++)
      expect(read(createSplitter(options, kernel), text, [size])).toEqual(whole);
  });

  test('hashes as the definition says, for every length around the ends of groups and blocks', () => {
    const lengths = [...Array(70).keys(), 1007, 1008, 1009, 1023, 1024, 1025, 1040, 2047, 2048, 2049, 5000];
    const lines = lengths.map((length) =>
      Buffer.alloc(length, 'ÿ0þ9zøq', 'latin1').map((byte, at) => (byte ^ (at & 0x5)) | 0x40),
    );
    const text = Buffer.concat(lines.flatMap((line) => [line, Buffer.from('\n')]));
    const { rows } = read(createSplitter(options, kernel), text, [text.length]);
    expect(rows.map(({ hash }) => hash)).toEqual(lines.map((line) => hashModel(line, key)));
  });

  test('hashes the picked cells of a row alone, where it has as many as it should and sound quotes', () =>
    fc.assert(
      fc.property(
        fc.array(fc.oneof(lineOf(4), fc.constant('"a,b",c,"d""e",')), { maxLength: 12 }),
        fc.uniqueArray(fc.nat({ max: 3 }), { maxLength: 4 }),
        fc.integer({ min: 1, max: 90 }),
        (lines, some, size) => {
          const picking = { cells: 4, columns: [...some].sort((a, b) => a - b) };
          const text = Buffer.from(lines.map((line) => `${line}\n`).join(''), 'latin1');
          const { rows } = read(createSplitter({ ...options, picking }, kernel), text, [size]);
          for (const { text: row, hash } of rows) {
            const { bytes, picked } = pickModel(row, ',', picking);
            expect(hash, JSON.stringify(row)).toBe(hashModel(bytes, key, picked));
          }
        },
      ),
      { numRuns: 500 },
    ));

  test('a cell beside the picked ones changes no hash; a picked one, another count or unsound quotes do', () => {
    const lines = ['a,b,c', 'a,x,c', 'a,"x,y",c', 'a,"x\ny",c', 'A,b,c', 'a,b,c,', 'a,"b"x,c', 'a,c,', 'a,b,"c"'];
    const picking = { cells: 3, columns: [0, 2] };
    const text = Buffer.from(lines.map((line) => `${line}\n`).join(''));
    const { rows } = read(createSplitter({ ...options, picking }, kernel), text, [text.length]);
    const [first, ...others] = rows.map(({ hash }) => hash);
    expect(others.slice(0, 3)).toEqual([first, first, first]);
    expect(new Set([first, ...others.slice(3)]).size).toBe(6);
  });

  test('of a row of more than 4,096 bytes, and where more runs of columns are picked than fit, all bytes are hashed', () => {
    const fits = `a,${'x'.repeat(4092)},c`;
    const long = `a,${'x'.repeat(4093)},c`;
    const text = Buffer.from(`${fits}\n${long}\n`);
    const picking = { cells: 3, columns: [0, 2] };
    const { rows } = read(createSplitter({ ...options, picking }, kernel), text, [text.length]);
    expect(rows.map(({ hash }) => hash)).toEqual([
      hashModel(Buffer.from('a,c,'), key, true),
      hashModel(Buffer.from(long), key),
    ]);
    const wide = Buffer.from(`${'x,'.repeat(69)}x`);
    const every = { cells: 70, columns: Array.from({ length: 35 }, (_, at) => 2 * at) };
    const [whole] = read(createSplitter({ ...options, picking: every }, kernel), wide, [999]).rows;
    expect(whole?.hash).toBe(hashModel(wide, key));
  });

  test('reads straight into its memory what is reserved and then committed', () => {
    const splitter = createSplitter(options, kernel);
    splitter.push(Buffer.from('a,b\nc'));
    const room = splitter.reserve(300_000);
    room.set(Buffer.from(',d\ne'));
    const rows = splitter.commit(4);
    expect(rows.count).toBe(1);
    expect(Buffer.from(rows.bytes.subarray(rows.start[0], rows.end[0])).toString()).toBe('c,d');
    expect(rows.offset).toBe(4);
    expect(() => splitter.commit(1)).toThrow('1 bytes committed, but 0 reserved.');
  });

  test('carries a row over many chunks, and refuses one of more than 16 MB with its place', () => {
    const long = Buffer.alloc(LONGEST_ROW, 'x');
    const fits = read(
      createSplitter(options, kernel),
      Buffer.concat([Buffer.from('a\n'), long, Buffer.from('\nb')]),
      [5_000_000],
    );
    expect(fits.rows.map(({ text }) => text.length)).toEqual([1, LONGEST_ROW, 1]);
    for (const size of [1_000_000, 2 * LONGEST_ROW]) {
      const text = Buffer.concat([Buffer.from('a\r\n'), long, Buffer.from('x\nb')]);
      expect(() => read(createSplitter(options, kernel), text, [size])).toThrow(new RowTooLong(2, 3));
    }
  });

  test('another key gives other hashes, and no hash is 0/0', () => {
    const other = Uint8Array.from(key, (byte) => byte ^ 1);
    const text = Buffer.from('\na\nb\n');
    const mine = read(createSplitter(options, kernel), text, [9]).rows.map(({ hash }) => hash);
    const theirs = read(createSplitter({ ...options, key: other }, kernel), text, [9]).rows.map(({ hash }) => hash);
    expect(new Set([...mine, ...theirs]).size).toBe(6);
    expect([...mine, ...theirs]).not.toContain('0/0');
  });

  test('without a key, the rows are the same', () =>
    fc.assert(
      fc.property(texts(40), fc.integer({ min: 1, max: 70 }), (text, size) => {
        const placed = (one: { rows: Row[] }) => ({ ...one, rows: one.rows.map(({ hash: _, ...row }) => row) });
        const bare = read(createSplitter({ delimiter: 0x2c }, kernel), text, [size]);
        expect(placed(bare)).toEqual(placed(read(createSplitter(options, kernel), text, [size])));
      }),
    ));
});

test('both kernels agree on random bytes, with any delimiter', () =>
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 4000 }),
      fc.array(fc.constantFrom(0x22, 0x0a, 0x0d, 0x3b, 0x80), { maxLength: 400 }),
      fc.constantFrom(0x3b, 0x09, 0x80, 0xff),
      fc.integer({ min: 1, max: 4000 }),
      (bytes, specials, delimiter, size) => {
        const text = Buffer.from(bytes);
        for (const [index, byte] of specials.entries())
          if (text.length > 0) text[(index * 7919 + byte) % text.length] = byte;
        const [plain, wasm] = kernels.map((kernel) => read(createSplitter({ delimiter, key }, kernel), text, [size]));
        expect(wasm).toEqual(plain);
      },
    ),
    { numRuns: 300 },
  ));

test('the rows and the line ends between them are the whole input', () =>
  fc.assert(
    fc.property(texts(40), fc.integer({ min: 1, max: 90 }), (text, size) => {
      const { rows } = read(createSplitter(options), text, [size]);
      let at = 0;
      for (const row of rows) {
        expect(['', '\n', '\r', '\r\n']).toContain(text.toString('latin1', at, row.position));
        at = row.position + row.text.length;
        expect(text.toString('latin1', row.position, at)).toBe(row.text);
      }
      expect(['', '\n', '\r', '\r\n']).toContain(text.toString('latin1', at));
    }),
  ));

test('a quote or a line end cannot be the delimiter', () => {
  expect(() => createSplitter({ delimiter: 0x22, key })).toThrow('Byte 34 is the quote');
  expect(() => createSplitter({ delimiter: 0x0d, key })).toThrow('Byte 13 is a line end');
  expect(() => createSplitter({ delimiter: 0x2c, key: key.subarray(1) })).toThrow('16 bytes, not 15');
});
