import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import iconv from 'iconv-lite';
import { afterAll } from 'vitest';
import type { Rejection, RowClaim } from '../../../src/domain/claim.ts';
import { isRejection } from '../../../src/feed/mapping.ts';
import { type FeedReader, openFeed } from '../../../src/feed/reader.ts';
import type { RejectedRow } from '../../../src/feed/rejected.ts';
import { type SourceFile, sourceFile } from '../../../src/feed/sources/file.ts';
import { type FeedSettings, readFeedFile } from '../../../src/settings/feed.ts';

const folder = mkdtempSync(join(tmpdir(), 'muster-feed-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A feed that maps Nr, Mail, Name and Groups; `more` is laid behind it, as YAML. */
export function feed(more = ''): FeedSettings {
  return readFeedFile(
    `name: hr\nlearner: { externalId: Nr, email: Mail, lastName: Name }\ngroups: [{ column: Groups, separator: "+" }]\n${more}`,
    'hr.yaml',
  );
}

/** A file of these bytes; text is written in `encoding`. */
export async function fileOf(content: string | Uint8Array, encoding = 'utf-8', addBOM = false): Promise<SourceFile> {
  const path = join(folder, 'feed.csv');
  writeFileSync(path, typeof content === 'string' ? iconv.encode(content, encoding, { addBOM }) : content);
  return sourceFile(path);
}

export interface Everything {
  readonly reader: FeedReader;
  readonly results: readonly (RowClaim | Rejection)[];
  readonly claims: readonly RowClaim[];
  readonly rejections: readonly Rejection[];
  readonly rejected: readonly RejectedRow[];
}

/** Reads a file to its end and parses all of its rows. */
export async function readAll(file: SourceFile, settings: FeedSettings): Promise<Everything> {
  const reader = await openFeed(file, settings);
  const results: (RowClaim | Rejection)[] = [];
  const rejected: RejectedRow[] = [];
  for await (const { rows, firstRow } of reader.rows(new Uint8Array(16))) {
    const indexes = Array.from({ length: rows.count }, (_, index) => index);
    const parsed = reader.parse(rows, indexes, firstRow);
    results.push(...parsed);
    for (const { row, code, message } of parsed.filter(isRejection)) {
      rejected.push({ row, code, message, bytes: reader.raw(rows, row - firstRow) });
    }
  }
  const claims = results.filter((result): result is RowClaim => !isRejection(result));
  return { reader, results, claims, rejections: results.filter(isRejection), rejected };
}
