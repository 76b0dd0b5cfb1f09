import { NotFound } from '../../domain/errors.ts';
import { type RejectedLayout, type RejectedRow, writeRejected } from '../../feed/rejected.ts';
import type { RunDoc } from '../../store/models.ts';
import type { Services } from '../../store/services.ts';
import type { Outcome } from '../outcome.ts';

/** Rows kept back at a time. */
const CHUNK = 1_000;

/** @throws {NotFound} where the run had rejected rows that are kept no more. */
export function refuseForgotten(run: RunDoc): void {
  const { rows } = (run.outcome ?? {}) as Partial<Outcome>;
  if (!rows?.rejected || storedLayout(run)) return;
  throw new NotFound(`The rejected rows of run ${run._id} are kept no more (REJECTED_RETENTION_DAYS).`);
}

/** A run's rejected rows in the order of the file. */
export async function* rejectedRows({ store }: Services, run: RunDoc): AsyncGenerator<RejectedRow> {
  const { _id, attempt } = run;
  const docs = store.rejected
    .find(
      { _id: { $gte: { run: _id, attempt } as never, $lt: { run: _id, attempt: attempt + 1 } as never } },
      { promoteBuffers: true },
    )
    .sort({ _id: 1 });
  for await (const { _id: id, code, message, bytes } of docs) yield { row: id.row, code, message, bytes };
}

/** The same as a file in the layout of the one that they came from, ready to be mended and fed in again. */
export async function* rejectedFile(services: Services, run: RunDoc): AsyncGenerator<Uint8Array> {
  const layout = storedLayout(run);
  if (!layout) return;
  const [header] = writeRejected(layout, []);
  if (header) yield header;
  let some: RejectedRow[] = [];
  for await (const row of rejectedRows(services, run)) {
    some.push(row);
    if (some.length < CHUNK) continue;
    yield* rowsAlone(layout, some);
    some = [];
  }
  yield* rowsAlone(layout, some);
}

function* rowsAlone(layout: RejectedLayout, rows: readonly RejectedRow[]): Generator<Uint8Array> {
  const parts = writeRejected(layout, rows);
  parts.next();
  yield* parts;
}

/** The layout of the run's file; undefined where none was read, or its rejected rows are kept no more. */
export function storedLayout({ rejectedLayout }: Pick<RunDoc, 'rejectedLayout'>): RejectedLayout | undefined {
  const stored = rejectedLayout as
    | (Omit<RejectedLayout, 'header'> & { header: { buffer: Uint8Array } | Uint8Array })
    | undefined;
  return stored && { ...stored, header: stored.header instanceof Uint8Array ? stored.header : stored.header.buffer };
}
