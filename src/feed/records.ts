import Papa from 'papaparse';

export type Cells = readonly string[];

/** A byte order mark, which at the beginning of a row is a part of its first cell: papaparse takes one away. */
const MARK = '\ufeff';

/** Parses text whose rows are separated by LF; line ends within quotes stay as they are. */
export function parseRecords(
  text: string,
  delimiter: string,
): { readonly records: readonly Cells[]; readonly sound: boolean } {
  const { data, errors } = Papa.parse<string[]>(text.startsWith(MARK) ? MARK + text : text, {
    delimiter,
    newline: '\n',
    header: false,
    skipEmptyLines: false,
  });
  return { records: data, sound: errors.length === 0 };
}

/** The cells of one row; undefined where its quotes are not as they should be. */
export function parseRecord(text: string, delimiter: string): Cells | undefined {
  if (!text.includes('"')) return text.split(delimiter);
  const { records, sound } = parseRecords(text, delimiter);
  return sound && records.length === 1 ? records[0] : undefined;
}
