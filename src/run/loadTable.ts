import { RowTable } from '../feed/rows/table.ts';
import type { Applied } from '../store/models.ts';
import type { Store } from '../store/store.ts';
import { readTable } from '../store/tables.ts';

/** The packed table of the last applied run; undefined where there is none, or a part of it is missing. */
export async function loadTable(
  store: Store,
  applied: Pick<Applied, 'table' | 'tableParts'>,
): Promise<RowTable | undefined> {
  let parts = 0;
  async function* counted(): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const part of readTable(store, applied)) {
      parts += 1;
      yield part;
    }
  }
  const table = await RowTable.gather(counted(), applied.tableParts);
  return parts > 0 && parts === applied.tableParts ? table : undefined;
}
