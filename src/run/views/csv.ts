/**
 * One row of RFC 4180. What a spreadsheet would take for a formula gets an apostrophe before it: in front of the cell, and
 * in it behind what another spreadsheet takes for the end of a cell (`;` where the comma is the decimal sign).
 */
export function csvRow(cells: readonly (string | number | boolean | null | undefined)[]): string {
  return `${cells.map((cell) => csvCell(cell)).join(',')}\r\n`;
}

/** What begins a formula, in full width too. */
const BEGINNING = '=+\\-@\uFF1D\uFF0B\uFF0D\uFF20';
/** Spaces of any kind, quotes, and marks that are not seen. */
const LEADING = '[\\s"\'\\p{Cc}\\p{Cf}]*';
const HARMLESS = new RegExp(`^[^${BEGINNING}\\t\\r\\n]*$`, 'u');
const AT_THE_START = new RegExp(`^${LEADING}[${BEGINNING}]|^[\\t\\r\\n]`, 'u');
/** Looked for backwards from what it is about: forwards, a long run of spaces would be gone through from each of them. */
const BEHIND_A_SEPARATOR = new RegExp(`[${BEGINNING}](?<=[;,|\\t\\r\\n]${LEADING}[${BEGINNING}])`, 'gu');

/** The text, defused for CSV. */
export function defuse(text: string): string {
  if (HARMLESS.test(text)) return text;
  const within = text.replace(BEHIND_A_SEPARATOR, "'$&");
  return AT_THE_START.test(text) ? `'${within}` : within;
}

function csvCell(cell: string | number | boolean | null | undefined): string {
  if (typeof cell !== 'string') return String(cell ?? '');
  const safe = defuse(cell);
  return /[",;\t\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
