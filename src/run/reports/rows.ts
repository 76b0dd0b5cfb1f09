import { UsageError } from '../../domain/errors.ts';
import type { GroupId } from '../../domain/ids.ts';
import { columnsOf, type ReportSettings } from '../../settings/report.ts';
import { type Column, columnOf, readFigure } from '../../settings/reportColumns.ts';
import type { Services } from '../../store/services.ts';
import type { Sight } from '../sight.ts';
import { compare } from '../views/learnerView.ts';
import { fieldsOf } from './fields.ts';
import { keysOf } from './keys.ts';
import { scopeOf } from './names.ts';
import { queryOf } from './pipeline.ts';

export type Cell = string | number | boolean | Date | null | readonly string[];

/** A report on its way: what its columns are, and its rows, read as they are asked for. */
export interface Table {
  readonly name: string;
  readonly columns: readonly (Pick<Column, 'title' | 'type'> & { readonly name: string })[];
  readonly rows: AsyncIterable<readonly Cell[]>;
  /** Of the wall clock for formats that know no moments. */
  readonly timeZone: string;
}

export interface RunReportOptions {
  /** Only learners in this group, or below. */
  readonly within?: GroupId;
  /** The first so many rows. */
  readonly limit?: number;
}

/** Documents of a round trip. */
const BATCH = 1_000;

/**
 * Runs a report for one who sees so much. Filtered, grouped and ordered in MongoDB; of the rows a batch at a time is
 * in memory here. Ending the iteration ends the query.
 */
export function runReport(
  { store, clock }: Pick<Services, 'store' | 'clock'>,
  report: ReportSettings,
  sight: Sight,
  { within, limit }: RunReportOptions = {},
): Table {
  if (within !== undefined && report.what === 'runs')
    throw new UsageError(
      `Report ${report.name} is about runs, which are in no group; it was not run. Leave the group out.`,
    );
  const now = clock.now();
  const { from, stages, collated } = queryOf(report, scopeOf(report, sight, within), sight, now);
  if (limit !== undefined) stages.push({ $limit: limit });
  const columns = columnsOf(report).map((name, at) => headOf(report, name, at));
  const cells = cellsOf(report, sight, now);
  return {
    name: report.name,
    timeZone: report.schedule.timeZone,
    columns,
    rows: (async function* () {
      const cursor = store[from].aggregate<Record<string, unknown>>(stages, {
        allowDiskUse: true,
        batchSize: BATCH,
        ...(collated && { collation: { locale: 'en', strength: 5 } }),
      });
      for await (const row of cursor) yield cells.map((cell, at) => cell(row[`c${at}`]));
    })(),
  };
}

function headOf({ what, summary }: ReportSettings, name: string, at: number): Table['columns'][number] {
  if (!summary || at < summary.by.length) {
    const { title, type } = columnOf(what, name) as Column;
    return { name, title, type };
  }
  const { figure, of } = readFigure(name);
  const column = of === undefined ? undefined : columnOf(what, of);
  const title = `${figure.charAt(0).toUpperCase()}${figure.slice(1)}${column ? ` of ${column.title}` : ''}`;
  return { name, title, type: column?.type === 'date' ? 'date' : 'number' };
}

/** What makes a cell of a value that came from the database, by column. */
function cellsOf(report: ReportSettings, sight: Sight, now: Date): ((value: unknown) => Cell)[] {
  const fields = fieldsOf(report.what, now);
  const count = report.summary?.by.length ?? Number.POSITIVE_INFINITY;
  return columnsOf(report).map((name, at) => {
    if (at >= count) return (value) => (typeof value === 'number' ? rounded(value) : plain(value));
    const { shows, cell } = fields(name);
    if (cell) return (value) => cell(value, sight, now);
    if (!shows) return plain;
    const keys = keysOf(shows, sight);
    const text = report.summary ? keys.at : keys.text;
    return (value) => (Array.isArray(value) ? textsOf(value, text) : typeof value === 'number' ? text(value) : null);
  });
}

function textsOf(ids: readonly number[], text: (id: number) => string | null): string[] {
  return ids.flatMap((id) => text(id) ?? []).sort(compare);
}

/** Two digits behind the point. */
function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}

function plain(value: unknown): Cell {
  if (value instanceof Date || Array.isArray(value)) return value;
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : null;
}
