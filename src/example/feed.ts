import { DEPARTMENT_PREFIX } from './company.ts';
import { SITE_SEPARATOR } from './row.ts';

/** The settings (YAML) of the feed that reads the company's files. `file` is the path of its source. */
export function exampleFeed(file = 'inbox/hr.csv'): string {
  return `# Everybody whom the HR department employs, every night.
name: hr
source: { file: ${JSON.stringify(file)} }
mode: full
format: { type: csv, encoding: auto, delimiter: auto }
learner:
  externalId: EmployeeID
  email: Mail
  firstName: FirstName
  lastName: LastName
  status: { column: Status, active: [A], left: [T] }
  attributes: { department: Department, function: Function }
groups:
  - { column: Department, prefix: "${DEPARTMENT_PREFIX}" }
  - { column: Location, separator: "${SITE_SEPARATOR}" }
unknownGroup: reject
unknownLearner: create
match: [externalId]
leaver: { courses: expire, graceDays: 0 }
moved: { courses: expire }
authority: feed
`;
}
