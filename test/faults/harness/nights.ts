import type { ExternalId } from '../../../src/domain/ids.ts';
import type { StructureImport } from '../../../src/run/structureChange.ts';

/** The feed of the fault harness: leavers lose their results, movers their old courses, new groups are made. */
export const FEED = `
name: hr
learner:
  externalId: EmployeeID
  email: Mail
  firstName: FirstName
  lastName: LastName
  status: { column: Status, active: [A], left: [T] }
groups:
  - { column: Groups, separator: ";" }
unknownGroup: create
leaver: { courses: purge }
moved: { courses: expire }
guard: { purged: off, rowsPercent: off, removed24hPercent: off, removed7dPercent: off }
`;

const id = (name: string) => name as ExternalId;

export const STRUCTURE: Omit<StructureImport, 'by'> = {
  courses: ['safety', 'sales', 'welcome'].map((name) => ({ externalId: id(name), name: `Course ${name}` })),
  groups: [
    { externalId: id('all'), name: 'All learners', courses: [id('welcome')] },
    { externalId: id('sector-a'), name: 'Sector A', parent: id('all'), courses: [id('safety')] },
    { externalId: id('sector-b'), name: 'Sector B', parent: id('all'), courses: [id('sales'), id('safety')] },
    { externalId: id('lone'), name: 'Lone group' },
  ],
};

const HEADER = 'EmployeeID,Mail,FirstName,LastName,Status,Groups';
const GROUPS = ['sector-a', 'sector-b', 'lone', 'sector-a;lone'];
const LEARNERS = 300;

/**
 * 300 learners. The second night has movers, leavers of both kinds (named as left, and absent), joiners in a group that
 * is new, new last names, two who swap their e-mail addresses, and one row that is refused. `learners`: other sizes.
 */
export function night(number: 1 | 2, learners = LEARNERS): string {
  const rows = Array.from({ length: learners }, (_, at) => row(at, number)).filter((line) => line !== '');
  if (number === 2) {
    for (let at = learners; at < learners + 6; at += 1) rows.push(line(at, { group: 'sector-b;newcomers' }));
  }
  return `${[HEADER, ...rows].join('\n')}\n`;
}

function row(at: number, number: 1 | 2): string {
  if (number === 1) return line(at, {});
  switch (at % 300) {
    case 10:
      return line(at, { mail: at + 1 });
    case 11:
      return line(at, { mail: at - 1 });
    case 22:
      return line(at, { status: 'on holiday?' });
    case 30:
    case 31:
      return line(at, { last: 'Married' });
    case 40:
    case 41:
    case 44:
      return line(at, { status: 'T' });
    case 52:
    case 53:
    case 56:
      return '';
    default:
      return at % 25 === 0 ? line(at, { group: GROUPS[(at + 1) % GROUPS.length] }) : line(at, {});
  }
}

function line(
  at: number,
  {
    mail = at,
    last = `Last${at}`,
    status = 'A',
    group = GROUPS[at % GROUPS.length],
  }: { mail?: number; last?: string; status?: string; group?: string | undefined },
): string {
  return `${externalIdOf(at)},p${mail}@x.org,First${at},${last},${status},${group}`;
}

export function externalIdOf(at: number): ExternalId {
  return String(at).padStart(5, '0') as ExternalId;
}
