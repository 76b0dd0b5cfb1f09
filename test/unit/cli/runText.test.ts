import { expect, test } from 'vitest';
import { runText } from '../../../src/cli/runText.ts';
import type { RunId } from '../../../src/domain/ids.ts';
import type { RunReport } from '../../../src/run/report.ts';

function report(changes: Partial<RunReport> = {}): RunReport {
  return {
    run: 'r7' as RunId,
    feed: 'hr',
    kind: 'feed',
    state: 'completed',
    mode: 'full',
    noChange: false,
    preview: false,
    source: { name: 'hr.csv', bytes: 1234, sha256: '' },
    rows: { read: 3, accepted: 3, rejected: 0, repeated: 0 },
    learners: { created: 1, updated: 0, reactivated: 0, deactivated: 0, unchanged: 2 },
    groups: { created: 0 },
    memberships: { added: 1, removed: 0, changed: 0, unchanged: 2 },
    subscriptions: { subscribed: 4, reactivated: 0, expired: 0, purged: 0, kept: 0 },
    guard: { held: false, breaches: [] },
    setAside: 0,
    protected: { learners: 0, groups: 0 },
    problems: [],
    by: 'cli:ann',
    createdAt: new Date('2026-01-01T02:00:00Z'),
    startedAt: new Date('2026-01-01T02:00:00Z'),
    finishedAt: new Date('2026-01-01T02:00:01.5Z'),
    stages: [],
    history: [],
    ...changes,
  };
}

test('the report says what changed, and leaves out what did not', () => {
  expect(runText(report())).toBe(
    `Run r7 of feed hr: completed, 1.5 s
  source         hr.csv, 1,234 bytes
  rows           3 read, 3 accepted
  learners       1 created, 2 unchanged
  memberships    1 added, 2 unchanged
  subscriptions  4 subscribed`,
  );
});

test('a held plan gives each reason, the five groups that lose most, and what to type next', () => {
  const groups = [60, 90, 70, 100, 80, 55, 65].map((value, at) => ({
    limit: 'groupRemovedPercent' as const,
    value,
    max: 50,
    group: `g${at}`,
  }));
  const text = runText(report({ state: 'held', finishedAt: null, guard: { held: true, breaches: groups } }));
  expect(text).not.toContain('subscriptions');
  expect(text.match(/Group g\d/g)).toEqual(['Group g1', 'Group g2', 'Group g3', 'Group g4', 'Group g6']);
  expect(text).toContain('… and 2 groups more');
  expect(text).toContain('muster runs approve r7');
});

test('problems name the first row of each kind, and how to get them all', () => {
  const problems = [{ row: 17, code: 'unknown-group', message: 'No group has the External ID x.', count: 12 }];
  const text = runText(report({ problems, rows: { read: 20, accepted: 8, rejected: 12, repeated: 0 } }));
  expect(text).toContain('  12 × unknown-group, first in row 17: No group has the External ID x.');
  expect(text).toContain('muster runs rejected r7 > rejected.csv');
});

test('a failed run gives its error in place of figures', () => {
  const failed = report({
    state: 'failed',
    rows: { read: 0, accepted: 0, rejected: 0, repeated: 0 },
    error: { code: 'broken-off', message: 'hr.csv breaks off within row 3.' },
  });
  expect(runText(failed)).toBe('Run r7 of feed hr: failed, 1.5 s\n  broken-off: hr.csv breaks off within row 3.');
});
