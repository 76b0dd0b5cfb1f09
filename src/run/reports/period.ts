import { Temporal } from 'temporal-polyfill';
import type { Period } from '../../settings/report.ts';

/** `[from, until)`; a side left out is open. */
export interface Stretch {
  readonly from?: Date;
  readonly until?: Date;
}

/** The stretch of time that a period stands for on the day of `now`, on the wall clock of the zone. */
export function stretchOf(period: Period, now: Date, timeZone: string): Stretch {
  const today = Temporal.Instant.fromEpochMilliseconds(now.getTime()).toZonedDateTimeISO(timeZone).toPlainDate();
  const monday = today.subtract({ days: today.dayOfWeek - 1 });
  const month = today.with({ day: 1 });
  const year = today.with({ day: 1, month: 1 });
  const [from, until] = {
    today: [today, today.add({ days: 1 })],
    yesterday: [today.subtract({ days: 1 }), today],
    'this-week': [monday, monday.add({ weeks: 1 })],
    'last-week': [monday.subtract({ weeks: 1 }), monday],
    'this-month': [month, month.add({ months: 1 })],
    'last-month': [month.subtract({ months: 1 }), month],
    'this-year': [year, year.add({ years: 1 })],
    'last-year': [year.subtract({ years: 1 }), year],
    'last-7-days': [today.subtract({ days: 7 }), today],
    'last-30-days': [today.subtract({ days: 30 }), today],
    'last-365-days': [today.subtract({ days: 365 }), today],
    'next-7-days': [today, today.add({ days: 7 })],
    'next-30-days': [today, today.add({ days: 30 })],
  }[period] as [Temporal.PlainDate, Temporal.PlainDate];
  const midnight = (day: Temporal.PlainDate) => new Date(day.toZonedDateTime(timeZone).epochMilliseconds);
  return { from: midnight(from), until: midnight(until) };
}
