import type { ExternalId } from '../domain/ids.ts';
import { draw } from './randomness.ts';

export interface CompanyGroup {
  readonly externalId: ExternalId;
  readonly name: string;
  readonly parent: ExternalId | null;
}

export interface CompanyCourse {
  readonly externalId: ExternalId;
  readonly name: string;
}

/** An employer of made-up people: where they work, and what they have to learn. */
export interface Company {
  readonly seed: number;
  /** Employees of the first night; later nights differ by some in a thousand. */
  readonly learners: number;
  /** Parents stand before their children. */
  readonly groups: readonly CompanyGroup[];
  readonly courses: readonly CompanyCourse[];
  /** Which group gives access to which course. */
  readonly links: readonly { readonly group: ExternalId; readonly course: ExternalId }[];
  /** Codes of the departments that employees work in: their External IDs without `DEPARTMENT_PREFIX`. */
  readonly departments: readonly string[];
  /** External IDs of the sites that employees work at. */
  readonly sites: readonly string[];
}

export interface CompanySize {
  readonly seed?: number;
  readonly learners?: number;
  /** All groups together; at least 12. Default: one for each hundred learners. */
  readonly groups?: number;
}

export const DEPARTMENT_PREFIX = 'dept-';

const BRANCHES = 6;
const DIVISIONS =
  'Operations|Sales|Logistics|Finance|Engineering|Customer Care|Human Resources|Verkoop Zuid|Qualität & Prüfung|Legal, Risk and Audit|Achats|Forskning|Nursing|Маркетинг|品質保証|Facilities'.split(
    '|',
  );
const COUNTRIES =
  'nl|de|fr|be|es|pt|dk|se|no|fi|is|pl|cz|sk|hu|ro|tr|ie|gb|gr|bg|rs|ua|ae|eg|il|in|cn|jp|kr|th|vn|ca|us|br|za'.split(
    '|',
  );

/** Departments below `All employees`, sites below countries below `All locations`, and courses for all of them. */
export function makeCompany(size: CompanySize = {}): Company {
  const { seed = 1, learners = 5000 } = size;
  const total = Math.max(12, size.groups ?? Math.round(learners / 100));
  const places = Math.max(3, Math.round(total * 0.12));
  const departments = departmentGroups(total - places - 2);
  const { countries, sites } = locationGroups(places);
  const staff = group('all-employees', 'All employees', null);
  const everywhere = group('all-locations', 'All locations', null);

  const divisions = departments.filter((of) => of.parent === staff.externalId);
  const special = departments.filter((of, i) => of.parent !== staff.externalId && draw(seed, i) % 10 === 0);
  const own = [...divisions, ...countries, ...special].map((of, i) => ({
    group: of.externalId,
    course: { externalId: `course-${padded(i + 3, 4)}` as ExternalId, name: courseName(of) },
  }));
  const mandatory = [
    { group: staff.externalId, course: { externalId: 'course-0001' as ExternalId, name: 'Code of conduct' } },
    { group: staff.externalId, course: { externalId: 'course-0002' as ExternalId, name: 'Information security' } },
  ];
  const given = [...mandatory, ...own];

  return {
    seed,
    learners,
    groups: [staff, ...departments, everywhere, ...countries, ...sites],
    courses: given.map((of) => of.course),
    links: given.map((of) => ({ group: of.group, course: of.course.externalId })),
    departments: departments.map((of) => of.externalId.slice(DEPARTMENT_PREFIX.length)),
    sites: sites.map((of) => of.externalId),
  };
}

/** Divisions first; below each, some six to a parent, to any depth. */
function departmentGroups(count: number): CompanyGroup[] {
  const divisions = Math.min(DIVISIONS.length, Math.max(2, Math.round(Math.sqrt(count) / 2)), count);
  const width = Math.max(4, String(count).length);
  const groups: CompanyGroup[] = [];
  for (let i = 0; i < count; i++) {
    const externalId = `${DEPARTMENT_PREFIX}${padded(i + 1, width)}`;
    if (i < divisions) {
      groups.push(group(externalId, DIVISIONS[i] as string, 'all-employees'));
    } else {
      const parent = groups[Math.floor((i - divisions) / BRANCHES)] as CompanyGroup;
      const place = ((i - divisions) % BRANCHES) + 1;
      groups.push(group(externalId, `${parent.name}${/\d$/.test(parent.name) ? '.' : ' '}${place}`, parent.externalId));
    }
  }
  return groups;
}

function locationGroups(count: number): { countries: CompanyGroup[]; sites: CompanyGroup[] } {
  const countries = COUNTRIES.slice(0, Math.max(1, Math.round(count / 4))).map((code) =>
    group(`loc-${code}`, `Locations ${code.toUpperCase()}`, 'all-locations'),
  );
  const sites = Array.from({ length: Math.max(1, count - countries.length) }, (_, i) => {
    const country = countries[i % countries.length] as CompanyGroup;
    const place = padded(Math.floor(i / countries.length) + 1, 3);
    return group(
      `${country.externalId}-${place}`,
      `Site ${country.externalId.slice(4).toUpperCase()} ${place}`,
      country.externalId,
    );
  });
  return { countries, sites };
}

function group(externalId: string, name: string, parent: string | null): CompanyGroup {
  return { externalId: externalId as ExternalId, name, parent: parent as ExternalId | null };
}

function courseName(of: CompanyGroup): string {
  return of.externalId.startsWith(DEPARTMENT_PREFIX) ? `Working in ${of.name}` : `Safety and labour law, ${of.name}`;
}

function padded(number: number, width: number): string {
  return String(number).padStart(width, '0');
}
