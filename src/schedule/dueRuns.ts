import type { RunId } from '../domain/ids.ts';
import type { Queues } from '../queue/queues.ts';
import { runTraces } from '../queue/runTraces.ts';
import { requestRun } from '../run/request.ts';
import { isDuplicateKey } from '../store/failures.ts';
import { settingsOf } from '../store/feeds.ts';
import type { FeedDoc } from '../store/models.ts';
import type { Services } from '../store/services.ts';
import { asRead, dueOf } from './due.ts';

/**
 * Makes a run for each feed whose time has come, and gives the ids of those made. One run a due time, however many
 * call this and whenever (R26): the key (feed, due time) of a run is unique. Of several times that passed unheard
 * the last alone is caught up, within `schedule.catchUpHours`. Nothing is remembered between calls: clocks may jump,
 * machines sleep and processes die.
 */
export async function scheduleDueRuns(services: Services, queues: Queues, now: Date): Promise<RunId[]> {
  const { store, log } = services;
  const made: RunId[] = [];
  const feeds = await store.feeds
    .find({ 'schedule.cron': { $exists: true } }, { projection: { lookAgain: 0, applied: 0 } })
    .toArray();
  for (const feed of feeds) {
    if (feed.origin === 'one-off') continue;
    try {
      const run = await runIfDue(services, feed, now);
      if (run !== undefined) made.push(run);
    } catch (error) {
      log.error({ feed: feed._id, error: (error as Error).name }, 'feed is not scheduled');
    }
  }
  // A run that is not enqueued here, because Redis is away, is found by the sweep.
  const traces = await runTraces(store, made);
  for (const run of made) await queues.addImport(run, traces.get(run));
  return made;
}

async function runIfDue(services: Services, feed: FeedDoc, now: Date): Promise<RunId | undefined> {
  const { store, log } = services;
  const { begins, due } = dueOf(feed.schedule as NonNullable<FeedDoc['schedule']>, feed.scheduled, now);
  if (begins) await store.feeds.updateOne(asRead(feed), { $set: { scheduled: begins } });
  if (!due) return undefined;
  const run = feed.quarantined ? undefined : await makeRun(services, feed, due);
  if (run !== undefined) {
    const late = Math.round((now.getTime() - due.getTime()) / 1_000);
    log.info({ feed: feed._id, run, due, late }, 'run is due');
  }
  await store.feeds.updateOne(asRead(feed), { $set: { 'scheduled.handled': due } });
  return run;
}

/** Undefined where there is a run of that due time already. */
async function makeRun(services: Services, feed: FeedDoc, due: Date): Promise<RunId | undefined> {
  const { mode } = settingsOf(feed);
  try {
    const request = { feed: feed._id, mode, preview: false, approve: false, by: 'schedule', due };
    return (await requestRun(services, request))._id;
  } catch (error) {
    if (isDuplicateKey(error)) return undefined;
    throw error;
  }
}
