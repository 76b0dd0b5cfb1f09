import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import yauzl from 'yauzl';
import { written } from '../../../../src/run/reports/formats.ts';
import type { Cell, Table } from '../../../../src/run/reports/rows.ts';
import { xlsx } from '../../../../src/run/reports/xlsx.ts';
import { PAYLOADS, payloadTable } from './payloads.ts';

async function partsOf(chunks: AsyncIterable<Uint8Array>): Promise<Map<string, string>> {
  const all = [];
  for await (const chunk of chunks) all.push(chunk);
  const open = promisify(yauzl.fromBuffer) as (bytes: Buffer, options: yauzl.Options) => Promise<yauzl.ZipFile>;
  const zip = await open(Buffer.concat(all), { lazyEntries: true });
  const parts = new Map<string, string>();
  const openPart = promisify(zip.openReadStream.bind(zip));
  const read = async (entry: yauzl.Entry) => {
    parts.set(entry.fileName, await text(await openPart(entry)));
    zip.readEntry();
  };
  zip.on('entry', (entry: yauzl.Entry) => void read(entry));
  zip.readEntry();
  await once(zip, 'end');
  return parts;
}

const tableOf = (rows: AsyncIterable<Cell[]>): Table => ({
  name: 'Numbers',
  timeZone: 'UTC',
  columns: [{ name: 'n', title: 'N', type: 'number' }],
  rows,
});

test('no cell is a formula, whatever it holds; texts are texts, and numbers numbers', async () => {
  const parts = await partsOf(written(payloadTable(), 'xlsx'));
  const sheet = parts.get('xl/worksheets/sheet1.xml') ?? '';
  expect(sheet).not.toMatch(/<f[ >]/);
  expect(sheet.match(/t="inlineStr"/g)).toHaveLength(4 + 2 * PAYLOADS.length);
  expect(sheet.match(/<c><v>-1\.5<\/v><\/c>/g)).toHaveLength(PAYLOADS.length);
  // 14:00 on the wall clock of Amsterdam, in days.
  expect(sheet).toContain('<v>46204.583333333336</v>');
  expect(sheet).toContain('<t xml:space="preserve">_x005F_x003D_1+1</t>');
  expect(sheet).toContain('&lt;script&gt;');
  expect(parts.get('xl/workbook.xml')).toContain('<sheet name="=1+1  x" sheetId="1"');
});

test('rows that do not fit into a sheet go to the next', async () => {
  async function* numbers(): AsyncGenerator<Cell[]> {
    for (let n = 1; n <= 25; n += 1) yield [n];
  }
  const parts = await partsOf(xlsx(tableOf(numbers()), { sheet: 11 }));
  const sheets = [1, 2, 3].map((at) => parts.get(`xl/worksheets/sheet${at}.xml`) ?? '');
  expect(sheets.map((sheet) => sheet.match(/<row>/g)?.length)).toEqual([11, 11, 6]);
  expect(sheets.map((sheet) => sheet.includes('>N</t>'))).toEqual([true, true, true]);
  expect(sheets[2]).toContain('<v>25</v>');
  expect(parts.get('xl/workbook.xml')?.match(/<sheet /g)).toHaveLength(3);
  const exact = await partsOf(
    xlsx(
      tableOf(
        (async function* () {
          for (let n = 1; n <= 10; n += 1) yield [n];
        })(),
      ),
      { sheet: 11 },
    ),
  );
  expect(exact.has('xl/worksheets/sheet2.xml')).toBe(false);
});

test('a workbook that nobody reads to its end ends the query, and a query that fails ends the workbook', async () => {
  let ended = false;
  async function* endless(): AsyncGenerator<Cell[]> {
    try {
      for (let n = 0; ; n += 1) yield [n];
    } finally {
      ended = true;
    }
  }
  for await (const chunk of xlsx(tableOf(endless()))) if (chunk.byteLength > 1_000) break;
  expect(ended).toBe(true);
  async function* failing(): AsyncGenerator<Cell[]> {
    for (let n = 0; n < 100_000; n += 1) yield [n];
    throw new Error('the database went away');
  }
  await expect(partsOf(xlsx(tableOf(failing())))).rejects.toThrow('the database went away');
});

test('letters that XML cannot hold are written as Excel writes them', async () => {
  const texts = ['a\u0001b', 'c\rd', 'e\ud800f', '😀', '\u{10ffff}', 'x'.repeat(40_000)];
  async function* rows(): AsyncGenerator<Cell[]> {
    for (const one of texts) yield [one];
  }
  const sheet = (await partsOf(xlsx(tableOf(rows())))).get('xl/worksheets/sheet1.xml') ?? '';
  for (const found of ['a_x0001_b', 'c_x000D_d', 'e\ufffdf', '😀', '\u{10ffff}']) expect(sheet).toContain(`>${found}<`);
  expect(sheet).toContain(`>${'x'.repeat(32_767)}<`);
});
