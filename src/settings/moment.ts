import { Temporal } from 'temporal-polyfill';

/**
 * A date of a filter: a day begins at midnight of the zone; a time without an offset is of the zone.
 * @throws {RangeError} where it is none, such as 31 February.
 */
export function momentOf(text: string, timeZone: string): Date {
  const isAbsolute = /(Z|[+-]\d{2}:?\d{2})$/i.test(text.slice(10));
  const moment = isAbsolute ? Temporal.Instant.from(text) : Temporal.PlainDateTime.from(text).toZonedDateTime(timeZone);
  return new Date(moment.epochMilliseconds);
}

export function isMoment(text: string): boolean {
  try {
    return !Number.isNaN(momentOf(text, 'UTC').getTime());
  } catch {
    return false;
  }
}
