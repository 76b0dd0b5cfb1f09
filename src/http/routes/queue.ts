import { z } from 'zod';
import type { RunId } from '../../domain/ids.ts';
import {
  discardItems,
  namedItems,
  newcomerOf,
  type QueueFilter,
  type QueueItem,
  queueItem,
  queueItems,
  type RetryOutcome,
  retryItem,
} from '../../run/retryQueue.ts';
import { viewQueue } from '../../run/views/queueView.ts';
import type { App } from '../app.ts';
import type { HttpContext } from '../context.ts';
import { Paging, type Place, pageBehind, pageOf } from '../cursors.ts';
import { may, OPERATORS, type Principal } from '../principal.ts';
import { notFound } from '../problems.ts';
import { PROBLEMS } from '../shapes/common.ts';
import { Discard, Discarded, QueueFilterShape, QueueItemShape, RetryOrder, RetryResult } from '../shapes/queue.ts';
import { groupIn, learnerIn, sightOf } from '../sight.ts';

const tags = ['queue'];
const read = may('read', 'queue', OPERATORS);
const write = { ...may('write', 'queue', OPERATORS), refusal: 409 };

/** In the order of `queueItems`. */
function placeOf({ state, id, run, since }: QueueItem): Place {
  return state === 'set-aside' ? [0, since.toISOString(), id] : [1, run, Number(id.slice(run.length + 1))];
}

/** What waits, and what could not be done: from the database, with BullMQ's state beside it. */
export function queueRoutes(app: App, context: HttpContext): void {
  app.get(
    '/queue',
    {
      config: read,
      schema: {
        tags,
        summary: 'Operations set aside, then batches that failed or wait',
        querystring: Paging.extend(QueueFilterShape.shape),
        response: { 200: pageOf(QueueItemShape), ...PROBLEMS },
      },
    },
    async ({ query: { limit, cursor, ...filter }, principal }) => {
      const items = queueItems(context, await filterOf(context, filter, principal));
      const page = await pageBehind(items, { limit, cursor }, placeOf);
      return { ...page, items: await viewQueue(context.store, context.queues, page.items) };
    },
  );

  app.get(
    '/queue/:item',
    {
      config: read,
      schema: {
        tags,
        summary: 'One of them, with its tries',
        params: z.object({ item: z.string().max(100) }),
        response: { 200: QueueItemShape, ...PROBLEMS },
      },
    },
    async ({ params }) => {
      const [view] = await viewQueue(context.store, context.queues, [await queueItem(context, params.item)]);
      if (!view) throw notFound;
      return view;
    },
  );

  app.post(
    '/queue/retry',
    {
      config: write,
      schema: { tags, summary: 'Tries them again now', body: RetryOrder, response: { 200: RetryResult, ...PROBLEMS } },
    },
    async ({ body, principal }) => {
      const items = 'ids' in body ? await namedItems(context, body.ids) : [];
      if ('filter' in body) {
        for await (const item of queueItems(context, await filterOf(context, body.filter, principal))) {
          if (item.state !== 'waiting') items.push(item);
        }
      }
      const outcomes: RetryOutcome[] = [];
      for (const item of items) outcomes.push(await retryItem(context, item));
      return { done: outcomes.filter(({ done }) => done).length, outcomes };
    },
  );

  app.post(
    '/queue/discard',
    {
      config: write,
      schema: {
        tags,
        summary:
          'Gives operations up: a change is looked at again in the next run of its feed; courses that one was to bring in line stay as they are until a check repairs them',
        body: Discard,
        response: { 200: Discarded, ...PROBLEMS },
      },
    },
    async ({ body: { ids, reason }, principal }) => ({
      discarded: await discardItems(context, ids, { by: principal.by, reason }),
    }),
  );
}

async function filterOf(
  context: HttpContext,
  { queue, run, feed, learner, group, error }: z.output<typeof QueueFilterShape>,
  principal: Principal,
): Promise<QueueFilter> {
  const sight = await sightOf(context, principal);
  const newcomer = learner === undefined ? undefined : await newcomerOf(context.store, learner);
  return {
    ...(queue && { queue }),
    ...(run !== undefined && { run: run as RunId }),
    ...(feed !== undefined && { feed }),
    ...(newcomer && { newcomer }),
    ...(learner !== undefined && !newcomer && { learner: (await learnerIn(context, sight, learner)).id }),
    ...(group !== undefined && { group: groupIn(sight, group).id }),
    ...(error !== undefined && { error }),
  };
}
