import { describe, expect, test } from 'vitest';
import { columnsOf, readReport, readReportFile } from '../../../src/settings/report.ts';
import { COLUMNS, columnOf, SUBJECTS, USUAL_COLUMNS } from '../../../src/settings/reportColumns.ts';

const refusal = (yaml: string): string => {
  try {
    readReportFile(yaml, 'r.yaml');
  } catch (error) {
    return (error as Error).message;
  }
  return '';
};

test('a subject is enough: the rest has defaults', () => {
  const report = readReportFile('name: All\nwhat: learners\n', 'r.yaml');
  expect(report).toEqual({
    name: 'All',
    what: 'learners',
    filter: {},
    sharedWith: [],
    schedule: { timeZone: 'UTC', catchUpHours: 12 },
  });
  expect(columnsOf(report)).toEqual(USUAL_COLUMNS.learners);
  expect(readReport(report)).toEqual(report);
});

test('the usual columns are columns of their subject', () => {
  for (const what of SUBJECTS) {
    for (const name of USUAL_COLUMNS[what]) expect(columnOf(what, name)).toBeDefined();
    expect(Object.keys(COLUMNS[what])).not.toContain('__proto__');
    expect(columnOf(what, 'constructor')).toBeUndefined();
  }
});

describe('what cannot be is refused with line, key and the nearest known word', () => {
  test.each([
    ['colums: [learner]', /r\.yaml:3:1 colums is not a known key\. Did you mean `columns`\?/],
    [
      'columns: [lerner]',
      /r\.yaml:3:11 columns\[0\] lerner is not a column of subscriptions\. Did you mean `learner`\?/,
    ],
    ['columns: [learner, learner]', /learner stands there twice/],
    ['order: [-sinc]', /order\[0\] sinc is not a column .* `since`/],
    ['order: [groups]', /groups holds several values in one cell/],
    ['filter: { state: [held] }', /filter\.state belongs to reports about runs/],
    ['filter: { status: [activ] }', /cannot be "activ"; possible are active, expired/],
    ['filter: { statuses: [active] }', /filter\.statuses is not a known key\. Did you mean `status`\?/],
    ['filter: { dates: { period: this-mont } }', /Did you mean `this-month`\?/],
    ['filter: { dates: { period: today, from: 2026-01-01 } }', /either a period, or from, until or both/],
    ['filter: { dates: { column: email, period: today } }', /email is no column of dates/],
    ['filter: { dates: { from: soon } }', /must be a date such as 2026-01-31/],
    ['filter: { completion: { below: 101 } }', /filter\.completion\.below/],
    ['columns: [learner]\nsummary: { by: [course] }', /columns belongs to reports without summary/],
    ['summary: { by: [course], figures: [averag completion] }', /averag completion is no figure/],
    ['summary: { by: [course], figures: [learners completion] }', /learners completion is no figure/],
    ['filter: { attributes: { department: [] } }', /must name one at the least/],
    ['filter: { attributes: Sales }', /filter\.attributes/],
    ['order: [through]', /holds several values in one cell/],
    ['summary: { by: [course], figures: [sum email] }', /email does not hold numbers/],
    ['summary: { by: [course] }\norder: [learner]', /learner is not in the summary; possible are course, count/],
    ['sharedWith: [reseller]', /sharedWith\[0\] cannot be "reseller"/],
    ['schedule: { cron: "0 6 1 * *" }', /send is missing: say to whom the schedule sends the report/],
    ['schedule: { cron: "61 * * * *" }\nsend: { to: [a@example.org] }', /is no cron expression/],
    ['send: { to: [nobody] }', /is no e-mail address/],
  ])('%s', (line, said) => {
    expect(refusal(`name: x\nwhat: subscriptions\n${line}\n`)).toMatch(said);
  });

  test('a report without a subject', () => {
    expect(refusal('name: x\n')).toMatch(
      /what is missing; possible are learners, subscriptions, progress, memberships, runs/,
    );
  });
});
