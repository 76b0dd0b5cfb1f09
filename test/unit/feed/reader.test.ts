import { createHash } from 'node:crypto';
import { appendFileSync, readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import iconv from 'iconv-lite';
import Papa from 'papaparse';
import { describe, expect, test } from 'vitest';
import { MusterError } from '../../../src/domain/errors.ts';
import { openFeed } from '../../../src/feed/reader.ts';
import { writeRejected } from '../../../src/feed/rejected.ts';
import { sha256Of } from '../../../src/feed/sources/file.ts';
import { feed, fileOf, readAll } from './reading.ts';

const HEADER = 'Nr,Mail,Name,Groups';
const csv = (...rows: string[]) => [HEADER, ...rows, ''].join('\n');
const names = async (content: string | Uint8Array, encoding?: string, bom?: boolean, more?: string) => {
  const { claims, reader } = await readAll(await fileOf(content, encoding, bom), feed(more));
  return { names: claims.map(({ lastName }) => lastName), encoding: reader.layout.encoding };
};

describe('encodings', () => {
  test.each([
    ['utf-8', true, 'bom'],
    ['utf-8', false, 'content'],
    ['utf-16le', true, 'bom'],
    ['utf-16be', true, 'bom'],
    ['utf-16le', false, 'content'],
    ['utf-16be', false, 'content'],
  ])('%s with byte order mark %s is told by its %s', async (encoding, bom, by) => {
    const read = await names(csv('1,,Zoë,', '2,,Łukasz,', '3,,田中,', '4,,🦊,'), encoding, bom);
    expect(read.names).toEqual(['Zoë', 'Łukasz', '田中', '🦊']);
    expect(read.encoding).toMatchObject({ name: encoding, by });
  });

  test('windows-1252 is guessed, its bytes 0x80–0x9F being what Windows means', async () => {
    const read = await names(csv('1,,Müller €,', '2,,“Šimon” Žak – Œuvre,', '3,,Café naïve,'), 'windows-1252');
    expect(read.names).toEqual(['Müller €', '“Šimon” Žak – Œuvre', 'Café naïve']);
    expect(read.encoding).toMatchObject({ name: 'windows-1252', by: 'guess' });
  });

  test('the setting goes before the guess, and strict UTF-8 before the setting', async () => {
    expect((await names(csv('1,,Łukasz,'), 'windows-1250', false, 'format: { encoding: windows-1250 }')).names).toEqual(
      ['Łukasz'],
    );
    expect((await names(csv('1,,Łukasz,'), 'utf-8', false, 'format: { encoding: windows-1250 }')).names).toEqual([
      'Łukasz',
    ]);
    expect((await names(csv('1,,田中,'), 'shift_jis', false, 'format: { encoding: shift_jis }')).names).toEqual([
      '田中',
    ]);
  });

  test('UTF-8 that turns out to be something else later on is refused with byte, row and remedy', async () => {
    const before = csv(...Array.from({ length: 20_000 }, (_, at) => `${at},,A name that is long enough,`));
    const bytes = Buffer.concat([Buffer.from(before), iconv.encode('x,,Müller,\n', 'windows-1252')]);
    const refused = readAll(await fileOf(bytes), feed());
    await expect(refused).rejects.toThrow(
      `up to row 20002, where byte ${before.length + 4} is not part of any character`,
    );
    await expect(readAll(await fileOf(bytes), feed())).rejects.toThrow('format.encoding: windows-1252');
    const { names: read } = await names(bytes, undefined, undefined, 'format: { encoding: windows-1252 }');
    expect(read.at(-1)).toBe('Müller');
  });

  test('a file of a setting that it does not keep to, a zip, and a file of NULs are refused', async () => {
    await expect(
      openFeed(await fileOf(csv('1,,é,'), 'windows-1252'), feed('format: { encoding: utf-8 }')),
    ).rejects.toThrow('is not UTF-8, as format.encoding says: byte 23');
    await expect(openFeed(await fileOf(Buffer.from('PK\u0003\u0004')), feed())).rejects.toThrow('zip or XLSX');
    await expect(openFeed(await fileOf(new Uint8Array(5000)), feed())).rejects.toThrow('NUL bytes');
  });
});

describe('layout', () => {
  test.each([',', ';', '\t', '|'])('delimiter %j is found', async (delimiter) => {
    const text = [
      ['Nr', 'Mail', 'Name', 'Groups'],
      ['1', 'a@b.nl', 'Lee, Ann; x|y', 'g1+g2'],
    ];
    const { claims, reader } = await readAll(await fileOf(`${Papa.unparse(text, { delimiter })}\n`), feed());
    expect(reader.layout.delimiter).toBe(delimiter);
    expect(claims).toMatchObject([{ lastName: 'Lee, Ann; x|y', groups: [{ externalId: 'g1' }, { externalId: 'g2' }] }]);
  });

  test.each([
    ['', 'is empty'],
    [HEADER, 'has no row that ends'],
    ['Nr,Mail,Nmae,Groups\n', 'column `Name` (learner.lastName) is missing (is it `Nmae` now?)'],
    ['Nr,Mail,Surname,Group\n', 'column `Groups` (groups[0]) is missing (is it `Group` now?)'],
    ['nr,Mail,Name,Groups\n', 'column `Nr` (learner.externalId) is missing (is it `nr` now?)'],
    ['Nr,Mail,Name,Groups,Mail\n', 'column `Mail` is there twice, as columns 2 and 5'],
    ['Nr,Mail,,Name,Groups\n', 'column 3 has no name'],
    ['1,a@b.nl,Ann,g1\n', 'The file has the columns `1`, `a@b.nl`, `Ann`, `g1`'],
    ['Nr,Mail,"Name,Groups\n1,,x,\n', 'has no row that ends'],
  ])('R16: header %j is refused: %s', async (content, message) => {
    const refused = openFeed(await fileOf(content), feed());
    await expect(refused).rejects.toThrow(message);
    await expect(openFeed(await fileOf(content), feed())).rejects.toMatchObject({ code: 'header-unfit' });
  });

  test('headers are trimmed; __proto__ and constructor are columns like any other', async () => {
    const settings = feed('window: { from: constructor }');
    const { claims } = await readAll(
      await fileOf(' Nr ,Mail,Name,Groups,__proto__,constructor\n1,,Ann,,{},2026-01-01\n'),
      settings,
    );
    expect(claims).toMatchObject([{ externalId: '1', window: { from: new Date('2026-01-01') } }]);
    expect({}).not.toHaveProperty('polluted');
  });

  test("an optional column may be missing; its field is then not the feed's to change", async () => {
    const settings = feed();
    const optional = { ...settings, learner: { ...settings.learner, email: { column: 'Mail', optional: true } } };
    const { claims } = await readAll(await fileOf('Nr,Name,Groups\n1,Ann,\n'), optional);
    expect(claims[0]).not.toHaveProperty('email');
  });
});

describe('rows', () => {
  test('numbers are those of the file, with blank rows, cells of several lines and mixed line ends', async () => {
    const text = `\r\n${HEADER}\r\n1,,a,\n\n2,,"b\r\nb",\r\r\n3,,c,\n4,,d,x,y\n`;
    const { results, rejections, reader } = await readAll(await fileOf(text), feed());
    expect(results.map(({ row }) => row)).toEqual([3, 5, 7, 8]);
    expect(results[1]).toMatchObject({ lastName: 'b\r\nb' });
    expect(rejections).toMatchObject([{ code: 'too-many-columns', row: 8 }]);
    expect(reader.layout).toMatchObject({ headerRow: 2, lineEnd: '\r\n' });
  });

  test('bad-quotes harm their own row only', async () => {
    const { results } = await readAll(await fileOf(csv('1,,a,', '2,,"b"b,g1', '3,,c,', '"4",,"d""d",')), feed());
    expect(results).toMatchObject([
      { externalId: '1' },
      { code: 'bad-quotes', row: 3, externalId: '2', groups: ['g1'] },
      { externalId: '3' },
      { externalId: '4', lastName: 'd"d' },
    ]);
  });

  test('R15: quotes that swallow other rows name nobody', async () => {
    const { rejections } = await readAll(await fileOf(csv('1,,"a,', '2,,"b",', '3,,c,')), feed());
    expect(rejections).toMatchObject([{ code: 'bad-quotes', row: 2, groups: [] }]);
    expect(rejections[0]).not.toHaveProperty('externalId');
  });

  test('the hash is that of the file, byte order mark included', async () => {
    for (const encoding of ['utf-8', 'utf-16le']) {
      const file = await fileOf(csv('1,,Zoë,'), encoding, true);
      const hash = createHash('sha256').update(readFileSync(file.path)).digest('hex');
      expect((await readAll(file, feed())).reader.sha256).toBe(hash);
      expect(await sha256Of(file)).toBe(hash);
    }
  });

  test('a file that grows while it is read is refused', async () => {
    const file = await fileOf(csv('1,,a,'));
    const reader = await openFeed(file, feed());
    appendFileSync(file.path, '2,,b,\n');
    const reading = (async () => {
      for await (const _ of reader.rows(new Uint8Array(16)));
    })();
    await expect(reading).rejects.toMatchObject({ code: 'source-changed' });
    expect(() => reader.sha256).toThrow('only once');
  });

  test('rows of one hash say the same, whatever stands in the columns that are not mapped', async () => {
    const other = fc.oneof(
      fc.constantFrom(
        '',
        '"',
        '""',
        '"a"',
        '"a""b"',
        '"a"b',
        'a"b',
        '"a" ',
        ' "a"',
        '"a,b"',
        'a,b',
        '"a\nb"',
        '"a\n',
        '\ufeff"a',
      ),
      fc.string({ maxLength: 12 }),
    );
    const row = fc.tuple(other, other).map(([old, phone]) => `${old},"n1",a@x.org,${phone},Lee,"g1+g2"`);
    let alike = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(row, { maxLength: 12 }), async (rows) => {
        const text = `Old,Nr,Mail,Phone,Name,Groups\n${rows.join('\n')}\n"end",n2,,,,\n`;
        const reader = await openFeed(await fileOf(text), feed());
        const said = new Map<string, unknown>();
        const reading = async () => {
          for await (const { rows } of reader.rows(new Uint8Array(16))) {
            for (let at = 0; at < rows.count; at += 1) {
              const hash = `${rows.hashHigh[at]}/${rows.hashLow[at]}`;
              const [result] = reader.parse(rows, [at], 7 - at);
              if (said.has(hash)) alike += 1;
              else said.set(hash, result);
              expect(result, text).toEqual(said.get(hash));
            }
          }
        };
        await reading().catch((error: unknown) => {
          if (!(error instanceof MusterError)) throw error;
        });
      }),
      { numRuns: 300 },
    );
    expect(alike).toBeGreaterThan(300);
  });

  test('rows written by another program come back the same', async () => {
    const cell = fc.oneof(
      fc.string({ maxLength: 12 }),
      fc.string({ unit: 'grapheme', maxLength: 8 }),
      fc.constantFrom('"', 'a"b', 'x\ny', 'x\r\ny', ',', ';', "'"),
    );
    const sheets = fc.record({
      rows: fc.array(fc.tuple(cell, cell), { maxLength: 30 }),
      delimiter: fc.constantFrom(',', ';', '\t', '|'),
      newline: fc.constantFrom('\n', '\r\n', '\r'),
      encoding: fc.constantFrom('utf-8', 'utf-16le', 'utf-16be'),
      quotes: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(sheets, async ({ rows, delimiter, newline, encoding, quotes }) => {
        const table = [
          ['Nr', 'Mail', 'Name', 'Groups', 'Other'],
          ...rows.map(([name, other], at) => [`n${at}`, '', name, '', other]),
        ];
        const text = `${Papa.unparse(table, { delimiter, newline, quotes })}${newline}`;
        const { results } = await readAll(await fileOf(text, encoding, true), feed('format: { delimiter: auto }'));
        expect(results).toEqual(
          rows.map(([name], at) => ({
            row: at + 2,
            externalId: `n${at}`,
            email: '',
            lastName: name.trim().normalize('NFC'),
            attributes: {},
            status: 'active',
            action: 'add',
            groups: [],
            window: {},
          })),
        );
      }),
      { numRuns: 150 },
    );
  });
});

describe('R16: a file that breaks off', () => {
  const text = `${HEADER},"End"\r\n1,ann@example.com,Zoë,g1+g2,"x"\r\n\r\n"2",,"Ben ""B""\nLee",g1,"x"\r\n3,,Łucja,,"x"\r\n`;

  test.each([
    ['utf-8', false],
    ['utf-8', true],
    ['utf-16le', true],
    ['utf-16be', true],
    ['windows-1250', false],
  ])('cut at every byte (%s, byte order mark %s) gives nothing, or rows that are whole', async (encoding, bom) => {
    const settings = feed(encoding === 'windows-1250' ? 'format: { encoding: windows-1250 }' : '');
    const whole = iconv.encode(text, encoding, { addBOM: bom });
    const all = (await readAll(await fileOf(whole), settings)).results;
    expect(all).toHaveLength(3);
    let accepted = 0;
    for (let cut = 0; cut < whole.length; cut++) {
      const read = await readAll(await fileOf(whole.subarray(0, cut)), settings).catch((error: unknown) => {
        if (error instanceof MusterError) return undefined;
        throw error;
      });
      if (!read) continue;
      accepted++;
      expect(read.results, `cut at byte ${cut}`).toEqual(all.slice(0, read.results.length));
    }
    expect(accepted).toBeGreaterThan(3);
    expect(accepted).toBeLessThan(whole.length / 4);
  });

  test.each([
    ['1,,a,\n2,,"b', 'row 3: a quote is opened there and never closed'],
    ['1,,a,\n2,,b', 'row 3: it has 3 of 4 columns and no line end'],
  ])('%j names the row', async (rows, message) => {
    await expect(readAll(await fileOf(`${HEADER}\n${rows}`), feed())).rejects.toThrow(message);
  });

  test('a last row that lacks only its line end is a row', async () => {
    expect((await names(`${HEADER}\n1,,a,g`)).names).toEqual(['a']);
  });
});

describe('rejected rows', () => {
  const rows = ['1,x,a,g1', '2,,fine,', '3,,"b\nb"', '4,,c,g,h', '5,x,d,,,', '6,,"e"e,', ',,f "q",'];

  test.each([
    ['utf-8', true],
    ['utf-8', false],
    ['utf-16le', true],
    ['windows-1252', false],
  ])(
    'come back in their original bytes, and fed in again are understood the same (%s, mark %s)',
    async (encoding, bom) => {
      const text = [HEADER, ...rows, '7,é,Zoë,', ''].join('\r\n');
      const first = await readAll(await fileOf(text, encoding, bom), feed());
      expect(first.rejections.map(({ code }) => code)).toEqual([
        'bad-email',
        'too-few-columns',
        'too-many-columns',
        'bad-email',
        'bad-quotes',
        'no-external-id',
        'bad-email',
      ]);
      const given = Buffer.concat([...writeRejected(first.reader.rejectedLayout, first.rejected)]);
      const decoded = iconv.decode(given, encoding);
      expect(decoded.split('\r\n')[0]).toBe(`${HEADER},muster:row,muster:reason`);
      for (const row of rows.filter((row) => !row.startsWith('2'))) expect(decoded).toContain(`\r\n${row},`);

      const second = await readAll(await fileOf(given), feed());
      const understood = ({ rejections }: typeof first) =>
        rejections.map((rejection) => ({ ...rejection, row: 0, message: '' }));
      expect(understood(second)).toEqual(understood(first));
      const again = Buffer.concat([...writeRejected(second.reader.rejectedLayout, second.rejected)]);
      expect(understood(await readAll(await fileOf(again), feed()))).toEqual(understood(first));
    },
  );

  test('once mended are accepted, the two columns being ignored', async () => {
    const { reader, rejected } = await readAll(await fileOf(csv('1,x,a,g1')), feed());
    const given = Buffer.concat([...writeRejected(reader.rejectedLayout, rejected)]).toString();
    const { claims } = await readAll(await fileOf(given.replace('1,x,', '1,a@b.nl,')), feed());
    expect(claims).toMatchObject([{ externalId: '1', email: 'a@b.nl', groups: [{ externalId: 'g1' }] }]);
  });
});
