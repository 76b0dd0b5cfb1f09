import { expect, test } from 'vitest';
import { isMoment, momentOf } from '../../../src/settings/moment.ts';

const ZONE = 'Europe/Amsterdam';

test('a date begins at midnight of the zone; a time with an offset is that moment', () => {
  expect(momentOf('2026-07-01', ZONE)).toEqual(new Date('2026-06-30T22:00:00Z'));
  expect(momentOf('2026-07-01T09:00:00', ZONE)).toEqual(new Date('2026-07-01T07:00:00Z'));
  expect(momentOf('2026-07-01T09:00:00Z', ZONE)).toEqual(new Date('2026-07-01T09:00:00Z'));
  expect(momentOf('2026-07-01T09:00:00+05:30', ZONE)).toEqual(new Date('2026-07-01T03:30:00Z'));
});

test.each(['2026-02-31', '2026-13-01', '2026-01-01T25:00', '2026-02-31T10:00:00Z', '2026-01-01-08:00', 'soon'])(
  '%s is no date',
  (text) => {
    expect(isMoment(text)).toBe(false);
  },
);

test.each(['2026-02-28', '0001-01-01', '2026-03-29T02:30:00', '2026-01-01T09:00:00+05:30', '2026-01-01T09:00Z'])(
  '%s is a date',
  (text) => {
    expect(isMoment(text)).toBe(true);
  },
);
