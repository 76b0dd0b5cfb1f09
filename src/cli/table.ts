/** Rows under their headings, in columns as wide as they need. Numbers stand to the right. */
export function table(
  headings: readonly string[],
  rows: readonly (readonly (string | number | null | undefined)[])[],
): string {
  const cells = rows.map((row) => headings.map((_, at) => printable(row[at])));
  const widths = headings.map((heading, at) =>
    cells.reduce((widest, row) => Math.max(widest, width(row[at] ?? '')), heading.length),
  );
  const right = headings.map((_, at) => rows.length > 0 && rows.every((row) => typeof row[at] === 'number'));
  const line = (row: readonly string[]) =>
    row
      .map((cell, at) => {
        const gap = ' '.repeat((widths[at] ?? 0) - width(cell));
        return right[at] ? gap + cell : cell + gap;
      })
      .join('  ')
      .trimEnd();
  return [line(headings.map((heading) => heading.toUpperCase())), ...cells.map(line)].join('\n');
}

/** `name  value` lines, the names in a column of their own. Lines without a value are left out. */
export function facts(lines: readonly (readonly [string, string | number | null | undefined])[]): string {
  const present = lines.filter(([, value]) => value !== undefined && value !== null && value !== '');
  const wide = Math.max(0, ...present.map(([name]) => name.length));
  return present.map(([name, value]) => `${name.padEnd(wide)}  ${printable(value)}`).join('\n');
}

const STEERING = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;

/** Text from a feed or a database can steer a terminal: control characters are shown, not sent. */
export function printable(value: string | number | null | undefined): string {
  return String(value ?? '').replace(STEERING, '\u00b7');
}

/** As `printable`, of a text of several lines. */
export function printableLines(text: string): string {
  return text.replace(STEERING, (letter) => (letter === '\n' ? letter : '\u00b7'));
}

/** 1234567 → 1,234,567. */
export function count(number: number): string {
  return number.toLocaleString('en-US');
}

/** `1 learner`, `1,200 learners`. */
export function counted(number: number, noun: string): string {
  return `${count(number)} ${noun}${number === 1 ? '' : 's'}`;
}

/** Columns that a text takes on a terminal: two for East Asian wide characters. */
function width(text: string): number {
  let columns = 0;
  for (const letter of text) columns += WIDE.test(letter) ? 2 : MARK.test(letter) ? 0 : 1;
  return columns;
}

const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Extended_Pictographic}/u;
const MARK = /\p{Mn}/u;
