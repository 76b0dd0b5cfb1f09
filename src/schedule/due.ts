import { dueTimes } from '../settings/dueTimes.ts';
import type { FeedSettings } from '../settings/feed.ts';
import { timesOf } from '../store/feeds.ts';
import type { Scheduled } from '../store/models.ts';

/** A due time of which the scheduler hears this late has not been missed, whatever `catchUpHours` says, ms. */
const PUNCTUAL = 120_000;

/**
 * The due time of a schedule that nobody saw to yet; of several that passed unheard the last alone, and none older than
 * `catchUpHours`. A schedule that is new `begins` now instead. Nothing is remembered between calls: clocks may
 * jump, machines sleep and processes die (R26).
 */
export function dueOf(
  schedule: FeedSettings['schedule'],
  scheduled: Scheduled | undefined,
  now: Date,
): { readonly begins?: Scheduled; readonly due?: Date } {
  const { cron, timeZone, catchUpHours } = schedule;
  if (cron === undefined) return {};
  const as = timesOf(schedule);
  if (!scheduled || scheduled.as !== as || scheduled.since > now) return { begins: { as, since: now } };
  const after = new Date(
    Math.max(
      now.getTime() - Math.max(catchUpHours * 3_600_000, PUNCTUAL),
      scheduled.since.getTime(),
      // Later than now: the clock was set back. What is due by the new time is looked for as if nothing were known.
      scheduled.handled && scheduled.handled <= now ? scheduled.handled.getTime() : 0,
    ),
  );
  const due = dueTimes({ cron, timeZone }, after, now).at(-1);
  return due ? { due } : {};
}

/** What has the schedule, as far as that is as it was read. */
export function asRead<Id>({ _id, scheduled }: { readonly _id: Id; readonly scheduled?: Scheduled }) {
  return { _id, 'scheduled.as': scheduled?.as ?? null, 'scheduled.since': scheduled?.since ?? null } as { _id: Id };
}
