import { describe, expect, test } from 'vitest';
import { externalId } from '../../../src/domain/ids.ts';
import { type Company, makeCompany } from '../../../src/example/company.ts';
import { exampleFeed } from '../../../src/example/feed.ts';
import { COLUMNS } from '../../../src/example/row.ts';
import { readFeedFile } from '../../../src/settings/feed.ts';

function depths({ groups }: Company): number[] {
  const depth = new Map<string | null, number>([[null, 0]]);
  for (const { externalId, parent } of groups) depth.set(externalId, (depth.get(parent) as number) + 1);
  return groups.map((group) => depth.get(group.externalId) as number);
}

describe.each([
  [1, 12],
  [5000, 50],
  [100_000, 1000],
  [1_000_000, 10_000],
])('a company of %i learners', (learners, groups) => {
  const company = makeCompany({ learners });

  test('has a hundredth as many groups, with parents before children', () => {
    expect(company.groups).toHaveLength(groups);
    expect(depths(company).every((depth) => depth >= 1)).toBe(true);
    expect(Math.max(...depths(company))).toBeGreaterThanOrEqual(groups > 100 ? 5 : 3);
  });

  test('has unique, clean External IDs', () => {
    for (const things of [company.groups, company.courses]) {
      expect(new Set(things.map((thing) => thing.externalId)).size).toBe(things.length);
      expect(things.every((thing) => externalId(thing.externalId) === thing.externalId)).toBe(true);
    }
    expect(company.departments.every((code) => /^\d{4,}$/.test(code))).toBe(true);
    expect(company.departments[0]).toBe('0001');
    expect(company.sites.length).toBeGreaterThan(0);
  });

  test('links courses and groups that exist, two of them for everybody', () => {
    const known = new Set<string>([...company.groups, ...company.courses].map((thing) => thing.externalId));
    expect(company.links.every((link) => known.has(link.group) && known.has(link.course))).toBe(true);
    expect(company.links.filter((link) => link.group === 'all-employees')).toHaveLength(2);
    expect(new Set(company.links.map((link) => link.course)).size).toBe(company.courses.length);
  });
});

test('the feed of the example is valid and names columns that the files have', () => {
  const feed = readFeedFile(exampleFeed('inbox/ä "b".csv'), 'hr.yaml');
  expect(feed.name).toBe('hr');
  expect(feed.source).toEqual({ kind: 'file', path: 'inbox/ä "b".csv' });
  const columns = [
    ...exampleFeed().matchAll(/(?:externalId|email|firstName|lastName|column|department|function): (\w+)/g),
  ];
  expect(columns.length).toBe(9);
  for (const [, column] of columns) expect(COLUMNS).toContain(column);
});
