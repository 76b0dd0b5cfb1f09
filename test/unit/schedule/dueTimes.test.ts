import * as fc from 'fast-check';
import { Temporal } from 'temporal-polyfill';
import { describe, expect, test } from 'vitest';
import { dueTimes, isCron, nextDueTime } from '../../../src/settings/dueTimes.ts';

const HOUR = 3_600_000;
const AMSTERDAM = 'Europe/Amsterdam';

const due = (cron: string, timeZone: string, after: string, until: string) =>
  dueTimes({ cron, timeZone }, new Date(after), new Date(until)).map((at) => at.toISOString().slice(0, 16));

describe('R26: a due time is a moment of the wall clock, and each gives one run', () => {
  test('02:30 is skipped on the spring night: one run, an hour later', () => {
    expect(due('30 2 * * *', AMSTERDAM, '2026-03-27T12:00Z', '2026-03-30T12:00Z')).toEqual([
      '2026-03-28T01:30',
      '2026-03-29T01:30',
      '2026-03-30T00:30',
    ]);
  });

  test('02:30 comes twice on the autumn night: one run, the first time', () => {
    expect(due('30 2 * * *', AMSTERDAM, '2026-10-23T12:00Z', '2026-10-26T12:00Z')).toEqual([
      '2026-10-24T00:30',
      '2026-10-25T00:30',
      '2026-10-26T01:30',
    ]);
  });

  test.each([
    ['just before the doubled 02:30', '2026-10-25T00:29:59Z', []],
    ['at the first 02:30', '2026-10-25T00:30:00Z', ['2026-10-25T00:30']],
    ['when the wall shows 02:10 again', '2026-10-25T01:10:00Z', ['2026-10-25T00:30']],
    ['at the second 02:30', '2026-10-25T01:30:00Z', ['2026-10-25T00:30']],
  ])('looking %s finds what has become due', (_, now, expected) => {
    expect(due('30 2 * * *', AMSTERDAM, '2026-10-24T12:00:00Z', now)).toEqual(expected);
  });

  test('a quarter of an hour runs on through both nights, each time of the wall clock once', () => {
    expect(due('*/15 * * * *', AMSTERDAM, '2026-03-29T00:29Z', '2026-03-29T01:31Z')).toEqual([
      '2026-03-29T00:30',
      '2026-03-29T00:45',
      '2026-03-29T01:00',
      '2026-03-29T01:15',
      '2026-03-29T01:30',
    ]);
    expect(due('30 * * * *', AMSTERDAM, '2026-10-25T00:00Z', '2026-10-25T02:59Z')).toEqual([
      '2026-10-25T00:30',
      '2026-10-25T02:30',
    ]);
  });

  test('a zone 14 hours away: its 02:00 is noon of the day before', () => {
    expect(due('0 2 * * *', 'Pacific/Kiritimati', '2026-06-01T00:00Z', '2026-06-02T13:00Z')).toEqual([
      '2026-06-01T12:00',
      '2026-06-02T12:00',
    ]);
  });

  test('half an hour of daylight saving (Lord Howe), and a day that a country left out (Samoa)', () => {
    expect(due('15 2 * * *', 'Australia/Lord_Howe', '2026-10-03T12:00Z', '2026-10-04T12:00Z')).toEqual([
      '2026-10-03T15:45',
    ]);
    expect(due('0 2 * * *', 'Pacific/Apia', '2011-12-29T00:00Z', '2011-12-31T23:00Z')).toEqual([
      '2011-12-29T12:00',
      '2011-12-30T12:00',
      '2011-12-31T12:00',
    ]);
  });
});

const ZONES = [AMSTERDAM, 'UTC', 'America/New_York', 'Australia/Lord_Howe', 'Pacific/Kiritimati', 'Africa/Casablanca'];
const crons = fc
  .tuple(fc.integer({ min: 0, max: 59 }), fc.constantFrom('1', '2', '3', '1-3', '*', '*/2'))
  .map(([minute, hour]) => `${minute} ${hour} * * *`);
/** Moments near changes of the clock, and others. */
const moments = fc.oneof(
  fc.integer({ min: Date.UTC(2026, 2, 28), max: Date.UTC(2026, 2, 30) }),
  fc.integer({ min: Date.UTC(2026, 9, 24), max: Date.UTC(2026, 9, 26) }),
  fc.integer({ min: Date.UTC(2026, 3, 4), max: Date.UTC(2026, 3, 6) }),
  fc.integer({ min: Date.UTC(2026, 0, 1), max: Date.UTC(2027, 0, 1) }),
);

/** Every moment that a minute of the wall clock stands for, two days around, asked of Temporal one by one. */
function everyMoment(cron: string, timeZone: string, around: number): number[] {
  const [minute = '', hour = ''] = cron.split(' ');
  const fits = (at: number) =>
    hour === '*' || (hour === '*/2' && at % 2 === 0) || (hour === '1-3' && at >= 1 && at <= 3) || String(at) === hour;
  const found = new Set<number>();
  let day = Temporal.Instant.fromEpochMilliseconds(around)
    .toZonedDateTimeISO(timeZone)
    .toPlainDate()
    .subtract({ days: 2 });
  for (let days = 0; days < 5; days += 1, day = day.add({ days: 1 })) {
    for (let at = 0; at < 24; at += 1) {
      if (!fits(at)) continue;
      const local = day.toPlainDateTime({ hour: at, minute: Number(minute) });
      found.add(local.toZonedDateTime(timeZone).epochMilliseconds);
    }
  }
  return [...found].sort((a, b) => a - b);
}

test('R26: however the time is cut in stretches, each due time lies in one of them', () => {
  fc.assert(
    fc.property(
      crons,
      fc.constantFrom(...ZONES),
      moments,
      fc.array(fc.integer({ min: 1, max: 5 * HOUR }), { minLength: 1, maxLength: 6 }),
      (cron, timeZone, start, steps) => {
        const found: number[] = [];
        let at = start;
        for (const step of steps) {
          found.push(...dueTimes({ cron, timeZone }, new Date(at), new Date(at + step)).map(Number));
          at += step;
        }
        const expected = everyMoment(cron, timeZone, start).filter((moment) => moment > start && moment <= at);
        expect(found).toEqual(expected);
      },
    ),
  );
});

test('the next due time is the first of those to come', () => {
  fc.assert(
    fc.property(crons, fc.constantFrom(...ZONES), moments, (cron, timeZone, now) => {
      const next = nextDueTime({ cron, timeZone }, new Date(now))?.getTime();
      expect(next).toBe(everyMoment(cron, timeZone, now).find((moment) => moment > now));
    }),
  );
  expect(nextDueTime({ cron: '0 0 29 2 *', timeZone: 'UTC' }, new Date('2096-03-01T00:00:00Z'))).toEqual(
    new Date('2104-02-29T00:00:00Z'),
  );
});

test.each([
  ['0 2 * * *', true],
  ['*/15 6-22 * * MON-FRI', true],
  ['0 0 L * *', true],
  ['0 2 * *', false],
  ['0 0 2 * * *', false],
  ['60 2 * * *', false],
  ['0 0 30 2 *', false],
  ['daily', false],
])('%s: a schedule? %s', (cron, expected) => {
  expect(isCron(cron)).toBe(expected);
});
