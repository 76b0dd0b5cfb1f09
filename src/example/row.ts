import type { Company } from './company.ts';
import { type Chair, personOf } from './employee.ts';
import { csvCell, personName } from './names.ts';
import { draw, skewed } from './randomness.ts';

export const COLUMNS = [
  'EmployeeID',
  'FirstName',
  'LastName',
  'Mail',
  'Status',
  'Department',
  'Location',
  'Function',
  'ManagerID',
  'StartDate',
  'EndDate',
  'Phone',
] as const;

/** Columns that the example feed maps; what changes in the others alone is nothing to Muster. */
export const MAPPED_COLUMNS: readonly (typeof COLUMNS)[number][] = COLUMNS.slice(0, 8);

/** Place of each column's cell in a row. */
export const CELL = Object.fromEntries(COLUMNS.map((name, place) => [name, place])) as Record<
  (typeof COLUMNS)[number],
  number
>;

export const SITE_SEPARATOR = ';';

/** Day of the first night, in days since 1970: Monday 5 January 2026. */
const FIRST_DAY = Date.UTC(2026, 0, 5) / 86_400_000;

const FUNCTIONS =
  'Nurse|Driver|Data analyst|Warehouse clerk|Verpleegkundige|Sachbearbeiter für Einkauf|Manager, Logistics|Technicien de réseau|Planner|Account manager|Software engineer|Receptionist|Foreman "night shift"|Jurist|Kok|Cleaner|Teacher|Elektriker|Product owner|Buyer|Electrician|Head of unit|Crew member|Инженер|営業担当'
    .split('|')
    .map(csvCell);
const MAIL_DOMAINS = ['northwind-group.example', 'staff.northwind.example', 'zuid.northwind.example'];

/** External ID of those who sat on the chair: nine digits, the first of them zeros. */
export function employeeId(company: Company, chair: number, sitter: number): string {
  return String(1_000_000_000 + employeeNumber(company, chair, sitter)).slice(1);
}

function employeeNumber(company: Company, chair: number, sitter: number): number {
  return 1001 + chair + sitter * company.learners;
}

/** Writes the row of chair `index` into `cells`, each as it stands in the CSV file. Dates are of `chair`'s nights. */
export function fillCells(company: Company, index: number, chair: Chair, cells: string[]): void {
  const person = personOf(company, index, chair.sitter);
  const { first, last } = personName(person, chair.marriages);
  const code = employeeNumber(company, index, chair.sitter).toString(36);
  const department = departmentOf(company, person, chair);
  cells[CELL.EmployeeID] = employeeId(company, index, chair.sitter);
  cells[CELL.FirstName] = first.cell;
  cells[CELL.LastName] = last.cell;
  cells[CELL.Mail] = mailAddress(first.mail, last.mail, code, chair.mails, person);
  cells[CELL.Status] = chair.left === null ? 'A' : 'T';
  cells[CELL.Department] = company.departments[department] as string;
  cells[CELL.Location] = sitesOf(company, person, chair);
  cells[CELL.Function] = FUNCTIONS[(draw(person, 2) + chair.functions) % FUNCTIONS.length] as string;
  cells[CELL.ManagerID] = employeeId(company, draw(department + 1, chair.managers) % company.learners, 0);
  cells[CELL.StartDate] = startDate(person, chair);
  cells[CELL.EndDate] = endDate(person, chair);
  cells[CELL.Phone] = `+31-20-${String(10_000_000 + ((draw(person, 3) + chair.phones * 7919) % 10_000_000)).slice(1)}`;
}

function mailAddress(first: string, last: string, code: string, changes: number, person: number): string {
  const domain = MAIL_DOMAINS[person % MAIL_DOMAINS.length] as string;
  if (changes % 3 === 0) return `${first}.${last}.${code}@${domain}`;
  return changes % 3 === 1 ? `${first.slice(0, 1)}.${last}.${code}@${domain}` : `${last}.${first}.${code}@${domain}`;
}

/** Index of the department. Those near the top are larger; a move leads anywhere else. */
function departmentOf({ departments }: Company, person: number, { departments: moves }: Chair): number {
  return moved(skewed(draw(person, 4), departments.length), moves, draw(person, 5), departments.length);
}

/** One site for most, none or two for one in 25 each. */
function sitesOf({ sites }: Company, person: number, { sites: moves }: Chair): string {
  const several = draw(person, 6) % 25;
  if (several === 0 && moves === 0) return '';
  const site = moved(skewed(draw(person, 7), sites.length), moves, draw(person, 8), sites.length);
  const second = (site + 1) % sites.length;
  const one = sites[site] as string;
  return several === 1 && second !== site ? `${one}${SITE_SEPARATOR}${sites[second]}` : one;
}

/** A place after some moves, each to another than the one before. */
function moved(place: number, moves: number, stride: number, size: number): number {
  return moves === 0 || size === 1 ? place : (place + moves * (1 + (stride % (size - 1)))) % size;
}

function startDate(person: number, chair: Chair): string {
  const day = chair.sitter === 0 ? -1 - (draw(person, 9) % 9000) : chair.joined - 1;
  return dateText(FIRST_DAY + day - chair.corrections);
}

/** The day of leaving, or the end of a contract that is not for good. */
function endDate(person: number, chair: Chair): string {
  if (chair.left !== null) return dateText(FIRST_DAY + chair.left - 1);
  const contract = draw(person, 10);
  if (chair.contracts === 0 && contract % 12 !== 0) return '';
  return dateText(FIRST_DAY + 30 + ((contract + chair.contracts * 31) % 700));
}

const dates = new Map<number, string>();

/** `2026-01-05` for a day since 1970. */
function dateText(day: number): string {
  let text = dates.get(day);
  if (text === undefined) {
    text = new Date(day * 86_400_000).toISOString().slice(0, 10);
    dates.set(day, text);
  }
  return text;
}
