import { Cron } from 'croner';
import { Temporal } from 'temporal-polyfill';

/** When a feed runs by itself: five cron fields, read on the wall clock of a time zone. */
export interface Times {
  readonly cron: string;
  readonly timeZone: string;
}

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** Ever longer stretches in which the next due time is looked for, ms; 29 February may be eight years away. */
const AHEAD = [HOUR, 2 * DAY, 40 * DAY, 3_300 * DAY];

/**
 * The due times in `(after, until]`, in order. The fields say which times of the wall clock are due, and each of
 * them is one moment: one that a clock set forward skips is due when that much has passed since the skip (02:30
 * becomes 03:30), one that a clock set back shows twice is due the first time. So a skipped or doubled hour gives one
 * run (R26).
 */
export function dueTimes({ cron, timeZone }: Times, after: Date, until: Date): Date[] {
  if (after >= until) return [];
  const [from, to] = [wallClock(after, timeZone), wallClock(until, timeZone)];
  // Where the clock was changed during the day before, times of the wall clock just outside the stretch lie inside it.
  const skipped = Math.max(0, shiftBefore(after, timeZone));
  const repeated = Math.max(0, -shiftBefore(until, timeZone));
  const last = to + repeated;
  const fields = fieldsOf(cron);
  const found = new Set<number>();
  let wall = fields.nextRun(new Date(from - skipped - 1));
  for (; wall && wall.getTime() <= last; wall = fields.nextRun(wall)) {
    const moment = momentOf(wall, timeZone);
    if (moment > after.getTime() && moment <= until.getTime()) found.add(moment);
  }
  return [...found].sort((a, b) => a - b).map((moment) => new Date(moment));
}

/** The first due time after this moment; undefined where the fields name no day that there is. */
export function nextDueTime(times: Times, after: Date): Date | undefined {
  for (const stretch of AHEAD) {
    const [next] = dueTimes(times, after, new Date(after.getTime() + stretch));
    if (next) return next;
  }
  return undefined;
}

/** Five fields of cron that name a time which comes. */
export function isCron(cron: string): boolean {
  try {
    return fieldsOf(cron).nextRun() !== null;
  } catch {
    return false;
  }
}

/** Reads times of a wall clock as if they were of UTC, where no clock is ever changed. */
function fieldsOf(cron: string): Cron {
  return new Cron(cron, { timezone: 'UTC', mode: '5-part', paused: true });
}

function wallClock(moment: Date, timeZone: string): number {
  return moment.getTime() + offsetAt(moment.getTime(), timeZone);
}

function momentOf(wall: Date, timeZone: string): number {
  const local = Temporal.PlainDateTime.from(wall.toISOString().slice(0, -1));
  return local.toZonedDateTime(timeZone, { disambiguation: 'compatible' }).epochMilliseconds;
}

/** By how much the clock was set forward during the day before, ms; negative = back. */
function shiftBefore(moment: Date, timeZone: string): number {
  return offsetAt(moment.getTime(), timeZone) - offsetAt(moment.getTime() - DAY, timeZone);
}

function offsetAt(epochMilliseconds: number, timeZone: string): number {
  const zoned = Temporal.Instant.fromEpochMilliseconds(epochMilliseconds).toZonedDateTimeISO(timeZone);
  return zoned.offsetNanoseconds / 1_000_000;
}
