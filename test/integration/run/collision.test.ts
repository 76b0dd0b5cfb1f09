import { beforeAll, expect, test } from 'vitest';
import { openFeed } from '../../../src/feed/reader.ts';
import { type RowTable, RowTableWriter } from '../../../src/feed/rows/table.ts';
import { sourceFile } from '../../../src/feed/sources/file.ts';
import { loadTable } from '../../../src/run/loadTable.ts';
import { readFeedDoc, settingsOf } from '../../../src/store/feeds.ts';
import type { FeedDoc } from '../../../src/store/models.ts';
import { COMPANY, HR, useMuster } from '../../harness.ts';

const muster = useMuster();
const header = 'EmployeeID,Mail,FirstName,LastName,Status,Groups\n';
const row = (id: string, name: string) => `${id},${id}@x.org,${name},Lee,A,sector-a\n`;

beforeAll(async () => {
  await muster.structure(COMPANY);
  await muster.feed(HR);
});

/** Hashes of the file's data rows under the feed's key. */
async function hashesOf(text: string, feed: FeedDoc): Promise<[number, number][]> {
  const reader = await openFeed(await sourceFile(muster.file(text)), settingsOf(feed));
  const found: [number, number][] = [];
  for await (const { rows } of reader.rows(Buffer.from(feed.applied?.hashKey ?? '', 'hex'))) {
    for (let at = 0; at < rows.count; at += 1) found.push([rows.hashLow[at] as number, rows.hashHigh[at] as number]);
  }
  return found;
}

test.each([
  ['plain', '001'],
  ['quoted', '"001"'],
])('R15: a row that has the hash of another learner’s row takes nobody out (External ID %s)', async (_, written) => {
  await muster.import(header + row('001', 'Ann') + row('002', 'Bo') + row('003', 'Cy'), { approve: true });
  const tonight = header + row(written, `Anna ${written.length}`).replaceAll(`${written}@`, '001@') + row('003', 'Cy');
  const feed = (await readFeedDoc(muster.store, 'hr')) as FeedDoc;
  const applied = feed.applied as NonNullable<FeedDoc['applied']>;
  const table = (await loadTable(muster.store, applied)) as RowTable;
  const [[low, high] = [0, 0]] = await hashesOf(tonight, feed);
  const bo = await muster.learner('002');
  const writer = new RowTableWriter();
  for (let at = 0; at < table.rows; at += 1) {
    if (table.learner(at) === bo) writer.add(low, high, bo, 0);
    else writer.addFrom(table, at);
  }
  const [bytes] = writer.parts();
  await muster.store.tables.updateOne(
    { _id: { table: applied.table, part: 0 } },
    { $set: { bytes: bytes as Uint8Array } },
  );

  const report = await muster.import(tonight, { approve: true });
  expect(report).toMatchObject({ state: 'completed', learners: { updated: 1, deactivated: 1 } });
  expect(await muster.memberships('001')).toEqual(['sector-a: hr']);
  expect(await muster.memberships('002')).toEqual([]);
  expect(await muster.memberships('003')).toEqual(['sector-a: hr']);
});
