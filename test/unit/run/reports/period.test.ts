import { expect, test } from 'vitest';
import { stretchOf } from '../../../../src/run/reports/period.ts';
import { PERIODS } from '../../../../src/settings/report.ts';

const ZONE = 'Europe/Amsterdam';
/** Half past midnight on Sunday, 1 March 2026, in Amsterdam. */
const NOW = new Date('2026-02-28T23:30:00Z');

test.each([
  ['today', '2026-02-28T23:00:00Z', '2026-03-01T23:00:00Z'],
  ['yesterday', '2026-02-27T23:00:00Z', '2026-02-28T23:00:00Z'],
  ['this-week', '2026-02-22T23:00:00Z', '2026-03-01T23:00:00Z'],
  ['last-week', '2026-02-15T23:00:00Z', '2026-02-22T23:00:00Z'],
  // The clock is set forward on 29 March.
  ['this-month', '2026-02-28T23:00:00Z', '2026-03-31T22:00:00Z'],
  ['last-month', '2026-01-31T23:00:00Z', '2026-02-28T23:00:00Z'],
  ['this-year', '2025-12-31T23:00:00Z', '2026-12-31T23:00:00Z'],
  ['last-7-days', '2026-02-21T23:00:00Z', '2026-02-28T23:00:00Z'],
  ['next-30-days', '2026-02-28T23:00:00Z', '2026-03-30T22:00:00Z'],
] as const)('%s is of the wall clock of the zone', (period, from, until) => {
  expect(stretchOf(period, NOW, ZONE)).toEqual({ from: new Date(from), until: new Date(until) });
});

test('every period is a stretch', () => {
  for (const period of PERIODS) {
    const { from, until } = stretchOf(period, NOW, ZONE);
    expect((until as Date).getTime()).toBeGreaterThan((from as Date).getTime());
  }
});
