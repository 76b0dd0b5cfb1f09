import { randomBytes } from 'node:crypto';
import { NEWS, newsOf } from '../domain/news.ts';
import { type Figures, messageOf } from '../notify/message.ts';
import type { FeedSettings } from '../settings/feed.ts';
import { settingsOf } from '../store/feeds.ts';
import type { FeedDoc, NotificationDoc, RunDoc } from '../store/models.ts';
import type { Services } from '../store/services.ts';
import { reportOf } from './report.ts';

/**
 * Makes notifications of what happened to runs of feeds since people were last told, keeps count of the troubles of
 * each feed and puts it in quarantine. The change of a run's state marks it (`tell`), so nothing is lost with a process;
 * the mark goes in the transaction that writes the notifications, so nothing is told twice.
 */
export async function tellRuns(services: Services): Promise<void> {
  const { store } = services;
  const marked = await store.runs
    .find({ tell: { $exists: true } }, { projection: { _id: 1 } })
    .sort({ tell: 1 })
    .toArray();
  for (const { _id } of marked) await tellRun(services, _id);
}

function tellRun(services: Services, id: RunDoc['_id']): Promise<void> {
  const { store } = services;
  return store.transaction(async (session) => {
    const run = await store.runs.findOne({ _id: id, tell: { $exists: true } }, { session });
    if (!run) return;
    await store.runs.updateOne({ _id: id }, { $set: { told: run.history.length }, $unset: { tell: '' } }, { session });
    const feed =
      run.feed === null || run.kind !== 'feed' ? null : await store.feeds.findOne({ _id: run.feed }, { session });
    if (!feed) return;
    const figures = await figuresOf(services, run, feed);
    const notify = notifyOf(feed);
    const notifications: NotificationDoc[] = [];
    let health = { troubles: feed.troubles ?? 0, quarantined: feed.quarantined !== undefined };
    for (const { state, at } of run.history.slice(run.told ?? 0)) {
      if (!NEWS.includes(state)) continue;
      const news = newsOf(state, figures.rows.rejected ?? 0, health);
      health = news.health;
      for (const event of news.events.filter((event) => notify?.on.includes(event))) {
        const message = messageOf(event, at, { ...figures, troubles: health.troubles });
        for (const channel of ['webhook', 'email'] as const) {
          if (!notify?.[channel]) continue;
          const _id = `msg_${randomBytes(16).toString('hex')}`;
          const now = services.clock.now();
          notifications.push({
            _id,
            feed: feed._id,
            run: id,
            event,
            channel,
            message,
            createdAt: now,
            nextAt: now,
            tries: [],
          });
        }
      }
    }
    const quarantined = { at: run.history.at(-1)?.at as Date, run: id };
    await store.feeds.updateOne(
      { _id: feed._id },
      { $set: { troubles: health.troubles, ...(health.quarantined && !feed.quarantined && { quarantined }) } },
      { session },
    );
    if (notifications.length > 0) await store.notifications.insertMany(notifications, { session });
  });
}

/** Undefined also where the stored text can be read no more: a run of that feed says so. */
function notifyOf(feed: FeedDoc): FeedSettings['notify'] {
  try {
    return settingsOf(feed).notify;
  } catch {
    return undefined;
  }
}

/** The figures of the report, without anything that names people: no texts, no names of files, nobody who did it. */
async function figuresOf({ store }: Services, run: RunDoc, feed: FeedDoc): Promise<Figures> {
  const { rows, learners, memberships, subscriptions, guard, problems, setAside } = await reportOf(store, run);
  return {
    run: run._id,
    feed: feed._id,
    state: run.state,
    due: run.due ?? null,
    rows,
    learners,
    memberships,
    subscriptions: { ...subscriptions },
    breaches: guard.breaches,
    problems: problems.map(({ code, count }) => ({ code, count })),
    setAside,
    error: run.error?.code ?? null,
    troubles: 0,
    startedAt: run.startedAt,
    finishedAt: run.finishedAt,
  };
}
