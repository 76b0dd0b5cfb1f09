import type { Company } from './company.ts';
import { emptyChair, isSteady, STEADY_PAIR, seat } from './employee.ts';
import { draw, permutation } from './randomness.ts';
import { CELL, fillCells } from './row.ts';

/** `edit-outside`: one row edited outside the mapped columns. */
export type Variant = 'shuffled' | 'edit-outside';

/** The file of one night before it is written: its rows by place, in any order of asking. */
export interface Sheet {
  /** Places for rows, some of them empty. */
  readonly places: number;
  /** Writes the row at `place` into `cells`; false where there is none. */
  fill(place: number, cells: string[]): boolean;
}

type TypingError = 'department' | 'external-id';

/**
 * The rows of night `night` (from 1) in the order of the file. Equal arguments, equal rows. Beside the chairs' own
 * fates it has typing errors (a handful a night, gone the next) and now and then two people who swap e-mails.
 */
export function sheetOf(company: Company, night: number, variant?: Variant): Sheet {
  const chair = emptyChair();
  const { swapped, today } = swapsUntil(company, night);
  const errors = typingErrors(company, night, today);
  const order =
    variant === 'shuffled' ? permutation(draw(company.seed, night), company.learners) : (place: number) => place;

  const mailOf = (index: number, cells: string[]): string => {
    seat(company, index, night, chair);
    fillCells(company, index, chair, cells);
    return cells[CELL.Mail] as string;
  };
  const fill = (place: number, cells: string[]): boolean => {
    const index = order(place);
    if (!seat(company, index, night, chair)) return false;
    fillCells(company, index, chair, cells);
    if (swapped.size > 0 && swapped.has(index >>> 1)) {
      const mail = mailOf(index ^ 1, cells);
      mailOf(index, cells);
      cells[CELL.Mail] = mail;
    }
    const error = errors.get(index);
    if (error === 'external-id') cells[CELL.EmployeeID] = '';
    if (error === 'department') cells[CELL.Department] = mistyped(cells[CELL.Department] as string, index);
    return true;
  };
  const sheet = { places: company.learners, fill };
  return variant === 'edit-outside' ? editedOutside(sheet) : sheet;
}

/** The place of the first row at or behind `place`; the number of places where there is none. */
export function rowFrom(sheet: Sheet, place: number, cells: string[]): number {
  let at = place;
  while (at < sheet.places && !sheet.fill(at, cells)) at++;
  return at;
}

function editedOutside(sheet: Sheet): Sheet {
  const edited = rowFrom(sheet, sheet.places >>> 1, []);
  const fill = (place: number, cells: string[]): boolean => {
    const filled = sheet.fill(place, cells);
    if (place === edited) cells[CELL.Phone] += ' x7';
    return filled;
  };
  return { places: sheet.places, fill };
}

/** Pairs of chairs whose e-mails are swapped on that night, and the pair that does so (or back) this very night. */
function swapsUntil({ seed, learners }: Company, night: number): { swapped: Set<number>; today: number | null } {
  const steadyPairs = Math.ceil((learners >>> 1) / STEADY_PAIR);
  const swapped = new Set<number>();
  let today: number | null = null;
  if (steadyPairs === 0) return { swapped, today };
  for (let at = 3; at <= night; at += 3) {
    const pair = STEADY_PAIR * (draw(seed + 17, at) % steadyPairs);
    if (!swapped.delete(pair)) swapped.add(pair);
    today = at === night ? pair : null;
  }
  return { swapped, today };
}

/**
 * A row without its External ID is always of a steady employee who swaps nothing this night, so that the
 * e-mail tells who is meant, and there is none on the first night, when nobody is known yet.
 */
function typingErrors({ seed, learners }: Company, night: number, swapping: number | null): Map<number, TypingError> {
  const errors = new Map<number, TypingError>();
  if (learners < 200) return errors;
  const luck = draw(seed + 29, night);
  const wrongDepartments = 1 + (luck % 3) + (learners >= 100_000 ? 4 : 0);
  for (let i = 0; i < wrongDepartments; i++) {
    const index = draw(luck, i) % learners;
    if (!isSteady(index)) errors.set(index, 'department');
  }
  const pair = STEADY_PAIR * (draw(luck, 99) % Math.ceil((learners >>> 1) / STEADY_PAIR));
  if (night > 1 && pair !== swapping) errors.set(pair * 2, 'external-id');
  return errors;
}

/** A code that no department has: a letter O for the zero, without its zeros, or with a digit too many. */
function mistyped(code: string, chance: number): string {
  const ways = [code.replace('0', 'O'), code.replace(/^0+/, ''), `${code}0`];
  return [...ways.slice(chance % 3), `${code}0`].find((way) => way !== code) as string;
}
