import type { NamedGroup, Rejection, RowClaim } from '../domain/claim.ts';
import { CONTROL, type ExternalId, looksLikeId } from '../domain/ids.ts';
import type { Window } from '../domain/learner.ts';
import type { FeedSettings } from '../settings/feed.ts';
import { compileDates, type ReadDate } from './dates.ts';
import { compileGroups, GroupNamesUneven } from './groups.ts';
import type { Cells } from './records.ts';
import { REASON_COLUMN, ROW_COLUMN } from './rejected.ts';
import { clean } from './text.ts';

/** Version of the rules by which rows become claims; part of what makes two readings of the same bytes equal. */
export const MAPPING_VERSION = 2;

export interface Mapper {
  /** What a row says depends on these columns alone, as long as it has as many cells as the header; undefined: on all. */
  readonly columns: readonly number[] | undefined;
  /** What a row says, or why it cannot be used. `row`: its number in the file, header = 1. */
  row(cells: Cells, row: number): RowClaim | Rejection;
  /** The rejection of a row that has no cells, since its quotes are broken. */
  badQuotes(text: string, row: number): Rejection;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** True of a row that cannot be used. */
export function isRejection(result: RowClaim | Rejection): result is Rejection {
  return 'code' in result;
}

const EMAIL = /^[^\s@"(),:;<>[\]\\]+@[^\s@.,:;<>"]+(?:\.[^\s@.,:;<>"]+)+$/;
const LONGEST_EMAIL = 254;
const NONE: readonly ExternalId[] = [];

/** Resolves the feed's columns against a header that `layoutOf` has found to fit. */
export function compileMapping(settings: FeedSettings, headers: readonly string[], delimiter = ','): Mapper {
  const { learner, window, action } = settings;
  const read = new Set<number>();
  const find = (column: string | undefined) => {
    const index = column === undefined ? -1 : headers.indexOf(column);
    if (index >= 0) read.add(index);
    return index;
  };
  const at = {
    externalId: find(learner.externalId.column),
    email: find(learner.email?.column),
    firstName: find(learner.firstName?.column),
    lastName: find(learner.lastName?.column),
    status: find(learner.status?.column),
    from: find(window.from),
    until: find(window.until),
    action: find(action?.column),
  };
  const attributes = Object.entries(learner.attributes)
    .map(([name, { column }]) => ({ name, index: find(column) }))
    .filter(({ index }) => index >= 0);
  const statuses = valuesOf(learner.status && { active: learner.status.active, left: learner.status.left });
  const actions = valuesOf(action && { add: action.add, remove: action.remove });
  const readDate = compileDates(window.dateFormat, settings.schedule.timeZone);
  const groupsOf = compileGroups(settings.groups, find);
  const added = addedColumns(headers);
  const addedText = addedCells(added, delimiter);
  const columns = headers.length - added;

  const cell = (cells: Cells, index: number) => clean(cells[index] ?? '');
  const named = (index: number) => `column ${headers[index] ?? ''}`;

  function recognised(cells: Cells): Pick<Rejection, 'externalId' | 'email' | 'groups'> {
    const id = idAt(cells, at.externalId);
    const email = at.email < 0 ? '' : cell(cells, at.email);
    return {
      ...(id !== undefined && !CONTROL.test(id) && { externalId: id }),
      ...(EMAIL.test(email) && { email }),
      groups: groupsNamed(cells),
    };
  }

  function groupsNamed(cells: Cells): readonly ExternalId[] {
    return groupsOf(cells, true).map((group) => group.externalId);
  }

  /**
   * Where a row has the wrong number of cells, a cell need not be of the column above it: only the first cell is
   * trusted, and an e-mail address that is the only one. A line break in it may mean that a quote has swallowed
   * further rows, so then nobody is taken to be recognised (R15).
   */
  function recognisedUnaligned(cells: Cells): Pick<Rejection, 'externalId' | 'email' | 'groups'> {
    if (cells.some((text) => /[\r\n]/.test(text))) return { groups: NONE };
    const id = at.externalId === 0 ? idAt(cells, 0) : undefined;
    const emails = cells.map(clean).filter((text) => EMAIL.test(text));
    return {
      ...(id !== undefined && { externalId: id }),
      ...(at.email >= 0 && emails.length === 1 && { email: emails[0] ?? '' }),
      groups: NONE,
    };
  }

  function reject(cells: Cells, row: number, code: string, fact: string, remedy: string): Rejection {
    return { row, code, message: message(row, fact, remedy), ...recognised(cells) };
  }

  function windowOf(cells: Cells, row: number): Window | Rejection {
    const from = dateAt(cells, at.from);
    if (from && 'problem' in from) return badDate(cells, row, at.from, from.problem);
    const until = dateAt(cells, at.until);
    if (until && 'problem' in until) return badDate(cells, row, at.until, until.problem);
    if (from && until && until <= from) {
      const fact = `the window ends (${named(at.until)}: ${shown(cells[at.until])}) before it begins (${named(at.from)}: ${shown(cells[at.from])})`;
      return reject(cells, row, 'empty-window', fact, 'Mend one of the two dates');
    }
    return { ...(from && { from }), ...(until && { until }) };
  }

  function dateAt(cells: Cells, index: number): ReadDate | undefined {
    const text = index < 0 ? '' : cell(cells, index);
    return text === '' ? undefined : readDate(text);
  }

  function badDate(cells: Cells, row: number, index: number, problem: string): Rejection {
    return reject(
      cells,
      row,
      'bad-date',
      `${named(index)} holds ${shown(cells[index])}, which ${problem}`,
      'Mend the date',
    );
  }

  function wrongCount(cells: Cells, row: number): Rejection {
    const few = cells.length < columns;
    return {
      row,
      code: few ? 'too-few-columns' : 'too-many-columns',
      message: message(
        row,
        `it has ${cells.length} columns, the header has ${columns}`,
        few
          ? 'Look for a missing delimiter or a quote that is not closed'
          : 'Put cells that hold the delimiter in quotes',
      ),
      ...recognisedUnaligned(cells),
    };
  }

  return {
    columns: added > 0 ? undefined : [...read].sort((a, b) => a - b),

    row(raw, row) {
      const cells = added === 0 ? raw : withoutAdded(raw, added);
      if (cells.length !== columns && !isPadded(cells, columns)) return wrongCount(cells, row);
      const id = idAt(cells, at.externalId);
      if (id === undefined) {
        return reject(
          cells,
          row,
          'no-external-id',
          `${named(at.externalId)} is empty`,
          'Give the External ID of the learner',
        );
      }
      if (CONTROL.test(id)) {
        const fact = `${named(at.externalId)} holds a control character or line break`;
        return reject(
          cells,
          row,
          'bad-external-id',
          fact,
          'Look for a quote that is not closed, and take the character out',
        );
      }
      if (looksLikeId(id)) {
        const fact = `${named(at.externalId)} is ${shown(id)}, which is how Muster names what has no External ID`;
        return reject(cells, row, 'bad-external-id', fact, 'Give the External ID of the learner');
      }
      const status = at.status < 0 ? 'active' : statuses.get(cell(cells, at.status));
      if (status === undefined) {
        const fact = `${named(at.status)} holds ${shown(cells[at.status])}, and possible are ${[...statuses.keys()].map(shown).join(', ')}`;
        return reject(cells, row, 'unknown-status', fact, 'Mend the value, or add it to learner.status of the feed');
      }
      const email = at.email < 0 ? undefined : cell(cells, at.email);
      if (email !== undefined && email !== '' && (email.length > LONGEST_EMAIL || !EMAIL.test(email))) {
        const fact = `${named(at.email)} holds ${shown(email)}, which is no e-mail address`;
        return reject(cells, row, 'bad-email', fact, 'Mend the address');
      }
      const claimed = at.from < 0 && at.until < 0 ? {} : windowOf(cells, row);
      if ('code' in claimed) return claimed;
      const act = at.action < 0 ? 'add' : actions.get(cell(cells, at.action));
      if (act === undefined) {
        const fact = `${named(at.action)} holds ${shown(cells[at.action])}, and possible are ${[...actions.keys()].map(shown).join(', ')}`;
        return reject(cells, row, 'unknown-action', fact, 'Mend the value, or add it to action of the feed');
      }
      let groups: readonly NamedGroup[];
      try {
        groups = groupsOf(cells, false);
      } catch (error) {
        if (!(error instanceof GroupNamesUneven)) throw error;
        return reject(cells, row, 'uneven-group-names', error.message, 'Give as many as there are groups, or none');
      }
      for (const group of groups) {
        if (!CONTROL.test(group.externalId) && !CONTROL.test(group.parent ?? '')) continue;
        const fact = `group ${shown(group.externalId)} holds a control character or line break`;
        return reject(
          cells,
          row,
          'bad-external-id',
          fact,
          'Look for a quote that is not closed, and take the character out',
        );
      }
      const values: Record<string, string> = {};
      for (const { name, index } of attributes) values[name] = cell(cells, index);
      const claim: Writable<RowClaim> = {
        row,
        externalId: id,
        attributes: values,
        status: status as RowClaim['status'],
        action: act as RowClaim['action'],
        groups,
        window: claimed,
      };
      if (email !== undefined) claim.email = email;
      if (at.firstName >= 0) claim.firstName = cell(cells, at.firstName);
      if (at.lastName >= 0) claim.lastName = cell(cells, at.lastName);
      return claim;
    },

    badQuotes(text, row) {
      const own = added === 0 ? text : text.replace(addedText, '');
      const cells = own.split(delimiter).map((part) => unquoted(part.trim()));
      const aligned = cells.length === columns && !/[\r\n]/.test(own);
      return {
        row,
        code: 'bad-quotes',
        message: message(
          row,
          'its quotes are not as CSV has them',
          'Put the whole cell in quotes, and write a quote within it twice',
        ),
        ...(aligned ? recognised(cells) : { groups: NONE }),
      };
    },
  };
}

function unquoted(text: string): string {
  let [start, end] = [0, text.length];
  while (text[start] === '"') start += 1;
  while (end > start && text[end - 1] === '"') end -= 1;
  return text.slice(start, end);
}

function idAt(cells: Cells, index: number): ExternalId | undefined {
  const text = clean(cells[index] ?? '');
  return text === '' ? undefined : (text as ExternalId);
}

function valuesOf(named: Readonly<Record<string, readonly string[]>> | undefined): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(named ?? {}).flatMap(([meaning, values]) => values.map((value) => [value, meaning] as const)),
  );
}

function isPadded(cells: Cells, columns: number): boolean {
  return cells.length > columns && cells.every((text, index) => index < columns || text.trim() === '');
}

/** How many columns at the header's end are those of `muster runs rejected`: 2 each time that it made the file. */
function addedColumns(headers: readonly string[]): number {
  let added = 0;
  while (headers.at(-added - 2) === ROW_COLUMN && headers.at(-added - 1) === REASON_COLUMN) added += 2;
  return added;
}

/** As `withoutAdded`, of a row that cannot be parsed: its text behind the last cell of its own. */
function addedCells(added: number, delimiter: string): RegExp {
  const mark = delimiter === '|' ? '\\|' : delimiter;
  return new RegExp(`(?:${mark}\\d*${mark}(?:"(?:[^"]|"")*"|[^"${mark}\\r\\n]*)){0,${added / 2}}$`);
}

/** The cells as they were before row number and reason were written behind them, however many there were. */
function withoutAdded(cells: Cells, added: number): Cells {
  let length = cells.length;
  for (let taken = 0; taken < added && length >= 2 && /^\d*$/.test(cells[length - 2] ?? ''); taken += 2) length -= 2;
  return cells.slice(0, length);
}

function message(row: number, fact: string, remedy: string): string {
  return `Row ${row}: ${fact}. The row was not used, and what it names was left as it is. ${remedy}.`;
}

function shown(text: string | undefined): string {
  const short = (text ?? '').length > 60 ? `${(text ?? '').slice(0, 60)}…` : (text ?? '');
  return JSON.stringify(short);
}
