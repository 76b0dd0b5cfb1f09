import type { Rejection, RowClaim } from '../../domain/claim.ts';
import { isRejection } from '../../feed/mapping.ts';
import { openFeed } from '../../feed/reader.ts';
import type { SourceFile } from '../../feed/sources/file.ts';
import type { FeedSettings } from '../../settings/feed.ts';
import type { Services } from '../../store/services.ts';
import { readStructure } from '../../store/structure.ts';
import type { WindowView } from './changesView.ts';

/** The first rows of a file, as the feed understands them. */
export interface FeedSample {
  readonly file: string;
  readonly encoding: string;
  readonly delimiter: string;
  readonly columns: readonly string[];
  readonly rows: readonly (SampledRow | Pick<Rejection, 'row' | 'code' | 'message'>)[];
}

export interface SampledRow extends Omit<RowClaim, 'groups' | 'window'> {
  readonly groups: readonly { readonly group: string; readonly known: boolean }[];
  readonly window: WindowView;
}

/** @throws what the feed reader throws where the file has no header that fits, or breaks off within these rows. */
export async function sampleFeed(
  { store }: Services,
  settings: FeedSettings,
  file: SourceFile,
  count: number,
): Promise<FeedSample> {
  const structure = await readStructure(store);
  const reader = await openFeed(file, settings);
  const found: (RowClaim | Rejection)[] = [];
  for await (const { rows, firstRow } of reader.rows()) {
    const indexes = Array.from({ length: Math.min(rows.count, count - found.length + 100) }, (_, at) => at);
    found.push(...reader.parse(rows, indexes, firstRow));
    if (found.length >= count) break;
  }
  return {
    file: file.name,
    encoding: reader.layout.encoding.name,
    delimiter: reader.layout.delimiter,
    columns: reader.layout.headers,
    rows: found.slice(0, count).map((row) => {
      if (isRejection(row)) return { row: row.row, code: row.code, message: row.message };
      const { groups, window, ...rest } = row;
      return {
        ...rest,
        groups: groups.map(({ externalId }) => ({
          group: externalId,
          known: structure.byExternalId(externalId) !== undefined,
        })),
        window: { validFrom: window.from ?? null, validUntil: window.until ?? null },
      };
    }),
  };
}
