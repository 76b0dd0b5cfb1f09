import { CELL } from './row.ts';
import { rowFrom, type Sheet } from './sheet.ts';

export const END_OF_LINE = '\r\n';

/** A line of the file, its end included. */
function line(cells: readonly string[]): string {
  return cells.join(',') + END_OF_LINE;
}

/** The sheet's rows as lines, from the first up to place `until`; `spoil` may alter the cells of each. */
export function* lines(
  sheet: Sheet,
  until: number = sheet.places,
  spoil?: (cells: string[], place: number) => void,
): Generator<string> {
  const cells: string[] = [];
  for (let place = 0; place < until; place++) {
    if (!sheet.fill(place, cells)) continue;
    spoil?.(cells, place);
    yield line(cells);
  }
}

function* none(): Generator<string> {}

/** Breaks off within the row at the middle. */
function* half(sheet: Sheet): Generator<string> {
  const middle = sheet.places >>> 1;
  yield* lines(sheet, middle);
  const cells: string[] = [];
  if (rowFrom(sheet, middle, cells) < sheet.places) yield line(cells).slice(0, cells.join(',').length >>> 1);
}

/** Every External ID stands before the other cells of the next row, as when one column of a table is moved alone. */
function* shiftedRows(sheet: Sheet): Generator<string> {
  const cells: string[] = [];
  rowFrom(sheet, 0, cells);
  const [firstId = '', ...firstRest] = cells;
  let id = firstId;
  for (let place = rowFrom(sheet, 0, cells) + 1; place < sheet.places; place++) {
    if (!sheet.fill(place, cells)) continue;
    const next = cells[CELL.EmployeeID] as string;
    cells[CELL.EmployeeID] = id;
    yield line(cells);
    id = next;
  }
  yield line([id, ...firstRest]);
}

/** A quote that opens in the last row that has quotes, or in the first, and never closes. */
function* unclosedQuote(sheet: Sheet): Generator<string> {
  const cells: string[] = [];
  let open = sheet.places - 1;
  while (open > 0 && !(sheet.fill(open, cells) && cells.some((cell) => cell.includes('"')))) open--;
  yield* lines(sheet, sheet.places, (row, place) => {
    if (place === open) row[CELL.Phone] = `"${row[CELL.Phone]}`;
  });
}

/** A quote before a first name at the middle: all up to the next quote in the file becomes one cell. */
function* strayQuote(sheet: Sheet): Generator<string> {
  let done = false;
  yield* lines(sheet, sheet.places, (row, place) => {
    if (done || place < sheet.places >>> 1 || row.some((cell) => cell.includes('"'))) return;
    row[CELL.FirstName] = `"${row[CELL.FirstName]}`;
    done = true;
  });
}

const everyRow = (spoil: (cells: string[]) => void) => (sheet: Sheet) => lines(sheet, sheet.places, spoil);

interface Accident {
  /** False: not even a header. */
  readonly header?: false;
  readonly encoding?: 'windows-1252';
  readonly lines: (sheet: Sheet) => Generator<string>;
}

/** What can happen to a feed's file on its way, by name. Each must be refused or held, never applied. */
export const ACCIDENTS = {
  empty: { header: false, lines: none },
  'header-only': { lines: none },
  half: { lines: half },
  'half-clean': { lines: (sheet) => lines(sheet, sheet.places >>> 1) },
  'shifted-column': {
    lines: everyRow((cells) => {
      cells.splice(CELL.EmployeeID + 1, 1);
      cells.push('');
    }),
  },
  'shifted-rows': { lines: shiftedRows },
  'cleared-departments': { lines: everyRow((cells) => void (cells[CELL.Department] = '')) },
  'lost-zeros': {
    lines: everyRow((cells) => {
      for (const column of [CELL.EmployeeID, CELL.ManagerID])
        cells[column] = (cells[column] as string).replace(/^0+/, '');
    }),
  },
  'other-encoding': { encoding: 'windows-1252', lines },
  'unclosed-quote': { lines: unclosedQuote },
  'stray-quote': { lines: strayQuote },
  'everyone-left': { lines: everyRow((cells) => void (cells[CELL.Status] = 'T')) },
} as const satisfies Record<string, Accident>;

export type AccidentName = keyof typeof ACCIDENTS;

/** How the file of a night is written to which this happens; undefined: as it should be. */
export function accident(name: AccidentName | undefined): Accident {
  return name === undefined ? { lines } : ACCIDENTS[name];
}
