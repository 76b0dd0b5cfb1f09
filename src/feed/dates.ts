import { Temporal } from 'temporal-polyfill';

/** The moment that a cell names, or why it names none. */
export type ReadDate = Date | { readonly problem: string };

const ISO = /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.\d{1,9})?)?)?(Z|[+-]\d{2}:?\d{2})?$/;
const YEAR_FIRST = /^(\d{4})[/.](\d{1,2})[/.](\d{1,2})$/;
const COMPACT = /^(\d{4})(\d{2})(\d{2})$/;
const YEAR_LAST = /^(\d{1,2})([-/.])(\d{1,2})\2(\d{4})$/;
/** Dates repeat a million times over a feed; so many distinct ones are kept. */
const KEPT = 10_000;

/**
 * Reads dates as `dateFormat` has it: `auto`, `iso`, or a pattern like `DD-MM-YYYY`. A date without a time is
 * 00:00 of that day in `timeZone`, so as the end of a window that day itself is no longer in it. `auto` takes ISO,
 * YYYYMMDD, YYYY/MM/DD, DD.MM.YYYY, and other orders only where they can be read in one way.
 */
export function compileDates(dateFormat: string, timeZone: string): (text: string) => ReadDate {
  const parse = dateFormat === 'auto' ? auto : dateFormat === 'iso' ? iso : pattern(dateFormat);
  const seen = new Map<string, ReadDate>();
  return (text) => {
    let read = seen.get(text);
    if (read === undefined) {
      read = moment(parse(text), timeZone);
      if (seen.size >= KEPT) seen.clear();
      seen.set(text, read);
    }
    return read;
  };
}

interface Parts {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly hour?: number;
  readonly minute?: number;
  readonly second?: number;
  /** `Z` or an offset, where the text has one. */
  readonly offset?: string | undefined;
}
type Parsed = Parts | { readonly problem: string };

function moment(parsed: Parsed, timeZone: string): ReadDate {
  if ('problem' in parsed) return parsed;
  const { year, month, day, hour = 0, minute = 0, second = 0, offset } = parsed;
  if (year < 1000) return { problem: 'is not a day of the calendar' };
  try {
    const local = Temporal.PlainDateTime.from({ year, month, day, hour, minute, second }, { overflow: 'reject' });
    const zone = offset === undefined ? timeZone : offset === 'Z' ? 'UTC' : offset;
    return new Date(local.toZonedDateTime(zone).epochMilliseconds);
  } catch {
    return { problem: 'is not a day of the calendar' };
  }
}

function iso(text: string): Parsed {
  const found = ISO.exec(text);
  if (!found) return { problem: 'is not a date like 2026-04-03' };
  const [, year, month, day, hour, minute, second, offset] = found;
  return {
    year: Number(year),
    month: Number(month),
    day: Number(day),
    hour: Number(hour ?? 0),
    minute: Number(minute ?? 0),
    second: Number(second ?? 0),
    offset,
  };
}

function auto(text: string): Parsed {
  const yearFirst = YEAR_FIRST.exec(text) ?? COMPACT.exec(text);
  if (yearFirst) return { year: Number(yearFirst[1]), month: Number(yearFirst[2]), day: Number(yearFirst[3]) };
  const yearLast = YEAR_LAST.exec(text);
  if (!yearLast) return iso(text);
  const [, first, mark, second, year] = yearLast;
  const dayFirst = { year: Number(year), month: Number(second), day: Number(first) };
  const monthFirst = { year: Number(year), month: Number(first), day: Number(second) };
  if (mark === '.' || Number(first) > 12 || first === second || Number(first) === Number(second)) return dayFirst;
  if (Number(second) > 12) return monthFirst;
  return { problem: 'may be either of two days; name the order in window.dateFormat, like DD-MM-YYYY or MM/DD/YYYY' };
}

const TOKENS: Readonly<Record<string, readonly [string, string]>> = {
  YYYY: ['year', '\\d{4}'],
  MM: ['month', '\\d{2}'],
  M: ['month', '\\d{1,2}'],
  DD: ['day', '\\d{2}'],
  D: ['day', '\\d{1,2}'],
  HH: ['hour', '\\d{2}'],
  mm: ['minute', '\\d{2}'],
  ss: ['second', '\\d{2}'],
};

function pattern(format: string): (text: string) => Parsed {
  const source = format.replace(/YYYY|MM?|DD?|HH|mm|ss|./g, (piece) => {
    const token = TOKENS[piece];
    return token ? `(?<${token[0]}>${token[1]})` : piece.replace(/[.*+?^${}()|[\]\\/]/, '\\$&');
  });
  const shape = new RegExp(`^${source}$`);
  return (text) => {
    const groups = shape.exec(text)?.groups;
    if (!groups) return { problem: `is not a date like ${format}` };
    const { year, month, day, hour, minute, second } = groups;
    return {
      year: Number(year),
      month: Number(month),
      day: Number(day),
      hour: Number(hour ?? 0),
      minute: Number(minute ?? 0),
      second: Number(second ?? 0),
    };
  };
}
