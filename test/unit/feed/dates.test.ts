import { describe, expect, test } from 'vitest';
import { compileDates } from '../../../src/feed/dates.ts';

const read = (format: string, text: string, zone = 'UTC') => {
  const date = compileDates(format, zone)(text);
  return date instanceof Date ? date.toISOString() : date.problem;
};

describe('dates', () => {
  test('a bare date is midnight of that day in the zone of the feed', () => {
    expect(read('auto', '2026-07-01', 'Europe/Amsterdam')).toBe('2026-06-30T22:00:00.000Z');
    expect(read('auto', '2026-01-01', 'Europe/Amsterdam')).toBe('2025-12-31T23:00:00.000Z');
    expect(read('iso', '2026-01-01T08:30')).toBe('2026-01-01T08:30:00.000Z');
    expect(read('iso', '2026-01-01T08:30:00+02:00', 'America/New_York')).toBe('2026-01-01T06:30:00.000Z');
    expect(read('iso', '2026-01-01T08:30:00Z', 'America/New_York')).toBe('2026-01-01T08:30:00.000Z');
  });

  test('a time that daylight saving skips is the moment after it', () => {
    expect(read('iso', '2026-03-29T02:30', 'Europe/Amsterdam')).toBe('2026-03-29T01:30:00.000Z');
  });

  test.each([
    ['20260403', '2026-04-03'],
    ['2026/4/3', '2026-04-03'],
    ['3.4.2026', '2026-04-03'],
    ['13/04/2026', '2026-04-13'],
    ['04/13/2026', '2026-04-13'],
    ['04-04-2026', '2026-04-04'],
    ['31.12.9999', '9999-12-31'],
  ])('auto reads %s', (text, day) => {
    expect(read('auto', text)).toBe(`${day}T00:00:00.000Z`);
  });

  test('auto refuses what may be either of two days, and a named order reads it', () => {
    expect(read('auto', '03/04/2026')).toContain('may be either of two days; name the order in window.dateFormat');
    expect(read('DD/MM/YYYY', '03/04/2026')).toBe('2026-04-03T00:00:00.000Z');
    expect(read('MM/DD/YYYY', '03/04/2026')).toBe('2026-03-04T00:00:00.000Z');
    expect(read('D-M-YYYY HH:mm', '3-4-2026 09:15')).toBe('2026-04-03T09:15:00.000Z');
  });

  test.each(['2026-02-30', '2026-13-01', '0000-00-00', '2025-02-29'])('%s is not a day of the calendar', (text) => {
    expect(read('auto', text)).toBe('is not a day of the calendar');
  });

  test.each(['tomorrow', '46115', '2026-4', '1/2/26'])('%s is no date', (text) => {
    expect(read('auto', text)).toContain('is not a date like');
  });
});
