import { isUtf8 } from 'node:buffer';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decode, encode, encodingOf, Transcoder, Utf8Check } from '../../../src/feed/decode.ts';

const texts = fc
  .array(fc.constantFrom('a', '"', '\n', 'é', '田', '🦊'), { maxLength: 12 })
  .map((parts) => parts.join(''));

describe('decoding', () => {
  test('UTF-8 is judged the same in pieces as in one', () => {
    const broken = fc.record({
      text: texts,
      at: fc.nat(40),
      byte: fc.nat(255),
      cut: fc.nat(40),
      piece: fc.integer({ min: 1, max: 5 }),
    });
    fc.assert(
      fc.property(broken, ({ text, at, byte, cut, piece }) => {
        const bytes = Buffer.from(text);
        if (at < bytes.length) bytes[at] = byte;
        const whole = bytes.subarray(0, cut);
        const check = new Utf8Check();
        let wrong = -1;
        for (let from = 0; from < whole.length && wrong < 0; from += piece)
          wrong = check.push(whole.subarray(from, from + piece));
        expect(wrong < 0 && !check.broken).toBe(isUtf8(whole));
      }),
      { numRuns: 2000 },
    );
  });

  test('a stream made UTF-8 in pieces is the same text, and goes back to the same bytes', () => {
    fc.assert(
      fc.property(
        texts,
        fc.constantFrom('utf-16le', 'utf-16be'),
        fc.integer({ min: 1, max: 7 }),
        (text, name, piece) => {
          const encoding = { name, by: 'setting', bom: 0, splittable: false } as const;
          const bytes = encode(text, encoding);
          const transcoder = new Transcoder(encoding);
          const parts: Uint8Array[] = [];
          for (let from = 0; from < bytes.length; from += piece)
            parts.push(transcoder.push(bytes.subarray(from, from + piece)));
          const { rest, broken } = transcoder.end();
          expect(broken).toBe(false);
          const split = Buffer.concat([...parts, rest]);
          expect(split.toString()).toBe(text);
          expect(Buffer.from(encode(decode(split, encoding), encoding))).toEqual(Buffer.from(bytes));
        },
      ),
    );
  });

  test('a sample cut within a character is still UTF-8', () => {
    const sample = Buffer.from('Nr;Näme;🦊');
    for (const cut of [1, 2, 3]) {
      expect(encodingOf(sample.subarray(0, sample.length - cut), false, 'auto', 'x.csv').name).toBe('utf-8');
    }
  });

  test('R16: UTF-8 with single wrong bytes is refused, never read as windows-1252', () => {
    const broken = Buffer.concat([Buffer.from('ID;Name\n1;Ö é\n2;Bø\n3;Ann'), Buffer.from([0xed, 0xa0, 0xbd])]);
    expect(() => encodingOf(broken, true, 'auto', 'x.csv')).toThrow(/UTF-8 but for single bytes: byte 27/);
    const western = Buffer.from([0x49, 0x44, 0x0a, 0x42, 0xf8, 0x0a, 0xd6, 0x0a, 0xe9]);
    expect(encodingOf(western, true, 'auto', 'x.csv').name).toBe('windows-1252');
  });
});
