import type { Rejection, RowClaim } from '../domain/claim.ts';
import type { FeedSettings } from '../settings/feed.ts';
import { decode } from './decode.ts';
import { compileMapping } from './mapping.ts';
import { parseRecord } from './records.ts';
import type { RejectedLayout } from './rejected.ts';

/** Understands rows that were kept with their bytes, as the feed's settings understand them now. */
export function keptRows(
  settings: FeedSettings,
  { encoding: original, delimiter, header }: RejectedLayout,
): (bytes: Uint8Array, row: number) => { readonly row: RowClaim | Rejection; readonly text: string } {
  // What is kept is in the file's own encoding, whether or not that can be split.
  const encoding = { ...original, splittable: true };
  const headers = (parseRecord(decode(header, encoding), delimiter) ?? []).map((cell) => cell.trim().normalize('NFC'));
  const mapper = compileMapping(settings, headers, delimiter);
  return (bytes, row) => {
    const text = decode(bytes, encoding);
    const cells = parseRecord(text, delimiter);
    return { row: cells ? mapper.row(cells, row) : mapper.badQuotes(text, row), text };
  };
}
