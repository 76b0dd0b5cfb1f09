import type { RunId } from '../domain/ids.ts';
import type { Applied, TablePartDoc } from './models.ts';
import type { Store } from './store.ts';

/** How the rows of a part are made. Parts without one are of an older version. */
export const FORMAT = 2;

/** The parts of a run's packed table, in order, one at a time; none of a table whose rows an older version made otherwise. */
export async function* readTable(
  store: Store,
  { table, tableParts }: Pick<Applied, 'table' | 'tableParts'>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const filter = { format: FORMAT, _id: { $gte: { table, part: 0 }, $lt: { table, part: tableParts } } };
  const docs = store.tables.find(filter, { promoteBuffers: true, batchSize: 1 }).sort({ _id: 1 });
  for await (const doc of docs) yield doc.bytes;
}

/** Writes the parts as they come; returns how many there were. */
export async function writeTable(store: Store, table: string, parts: Iterable<Uint8Array>): Promise<number> {
  let part = 0;
  for (const bytes of parts) {
    const doc: TablePartDoc = { _id: { table, part }, format: FORMAT, bytes };
    await store.tables.insertOne(doc);
    part += 1;
  }
  return part;
}

/** `_id`s of all parts of a packed table. */
export function partsOf(table: string): { $gte: TablePartDoc['_id']; $lt: TablePartDoc['_id'] } {
  return { $gte: { table, part: 0 }, $lt: { table, part: Number.MAX_SAFE_INTEGER } };
}

/** The run that made the table: it is named RUN-ATTEMPT. */
export function runOfTable(table: string): RunId {
  return table.slice(0, table.lastIndexOf('-')) as RunId;
}

export function attemptOfTable(table: string): number {
  return Number(table.slice(table.lastIndexOf('-') + 1));
}

export async function dropTable(store: Store, table: string): Promise<void> {
  await store.tables.deleteMany({ _id: partsOf(table) });
}
