import { DuckDBInstance } from '@duckdb/node-api';
import type { Cast } from '../cast.ts';
import { peakMemory } from '../measure.ts';
import type { Answer } from '../tasks.ts';

/**
 * Peer: DuckDB joins last night's file with tonight's and gives the people whose rows are new, gone or different. No
 * table is kept between nights, as somebody would have it who uses DuckDB for this.
 */
export async function duckdb(cast: Cast, { before, after }: { before: string; after: string }): Promise<Answer> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const meter = cast.meter();
  const found = await meter.time(async () => {
    const reader = await connection.runAndReadAll(`
      SELECT coalesce(a.EmployeeID, b.EmployeeID)
      FROM read_csv('${before}', header = true, all_varchar = true) a
      FULL JOIN read_csv('${after}', header = true, all_varchar = true) b ON a.EmployeeID = b.EmployeeID
      WHERE a IS DISTINCT FROM b`);
    return reader.currentRowCount;
  });
  connection.closeSync();
  instance.closeSync();
  return { ...meter.costAlone, peak: peakMemory(), figures: { found } };
}
