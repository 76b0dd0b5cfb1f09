import { Readable } from 'node:stream';
import { z } from 'zod';
import { NotFound } from '../../domain/errors.ts';
import type { LearnerId, RunId } from '../../domain/ids.ts';
import type { PlanPart } from '../../domain/planPart.ts';
import { withPatience } from '../../queue/patience.ts';
import { approveOrPlanAgain, cancelRun, rejectRun } from '../../run/approval.ts';
import { enqueueRun } from '../../run/enqueue.ts';
import { reportOf } from '../../run/report.ts';
import { undoRun } from '../../run/undo.ts';
import { changesOf } from '../../run/views/changesView.ts';
import { refuseForgotten, rejectedFile, rejectedRows } from '../../run/views/rejectedView.ts';
import { runSummary } from '../../run/views/runView.ts';
import type { RunDoc } from '../../store/models.ts';
import { readRun } from '../../store/runs.ts';
import type { App } from '../app.ts';
import type { HttpContext } from '../context.ts';
import { decodeCursor, encodeCursor, Paging, pageFrom, pageOf } from '../cursors.ts';
import { streamRun } from '../events.ts';
import { may, OPERATORS } from '../principal.ts';
import { PROBLEMS, stream } from '../shapes/common.ts';
import {
  Approval,
  RejectedRowShape,
  RunChange,
  RunEvents,
  RunReport,
  RunStateShape,
  RunSummary,
} from '../shapes/runs.ts';
import { learnerIn, type Sight, sightOf } from '../sight.ts';

const tags = ['runs'];
const params = z.object({ run: z.string().max(40) });
const read = may('read', 'runs', OPERATORS);
/** What a run's state forbids is a conflict. */
const write = { ...may('write', 'runs', OPERATORS), refusal: 409 };
const report = { 200: RunReport, ...PROBLEMS };

export function runRoutes(app: App, context: HttpContext): void {
  const { store } = context;

  app.get(
    '/runs',
    {
      config: read,
      schema: {
        tags,
        summary: 'The runs, newest first',
        querystring: Paging.extend({ feed: z.string().max(200).optional(), state: RunStateShape.optional() }),
        response: { 200: pageOf(RunSummary), ...PROBLEMS },
      },
    },
    async ({ query: { feed, state, limit, cursor } }) => {
      const found = await latest(
        context,
        { ...(feed !== undefined && { feed }), ...(state && { state }) },
        limit + 1,
        cursor,
      );
      const items = found.slice(0, limit);
      const last = items.at(-1);
      return {
        items: items.map(runSummary),
        next: found.length > limit && last ? encodeCursor([last.createdAt.getTime(), last._id]) : null,
      };
    },
  );

  app.get(
    '/runs/:run',
    { config: read, schema: { tags, summary: 'The report of a run', params, response: report } },
    async ({ params }) => reportOf(store, await runOf(context, params.run)),
  );

  app.get(
    '/runs/:run/changes',
    {
      config: read,
      schema: {
        tags,
        summary: "Each learner's before and after",
        params,
        querystring: Paging,
        response: { 200: pageOf(RunChange), ...PROBLEMS },
      },
    },
    async ({ params, query }) => pageFrom(changesOf(context, await runOf(context, params.run)), query),
  );

  app.get(
    '/runs/:run/rejected',
    {
      config: read,
      schema: {
        tags,
        summary: 'The rejected rows as the file had them, with row number and reason, to be mended and fed in again',
        params,
        produces: ['text/csv'],
        response: { 200: stream('text/csv', 'The file'), ...PROBLEMS },
      },
    },
    async ({ params }, reply) => {
      const run = await runOf(context, params.run);
      refuseForgotten(run);
      reply.header('content-disposition', `attachment; filename="rejected-${run._id}.csv"`);
      return reply.type('text/csv').send(Readable.from(rejectedFile(context, run)) as never);
    },
  );

  app.get(
    '/runs/:run/problems',
    {
      config: read,
      schema: {
        tags,
        summary: 'The rejected rows, by number, with their reasons',
        params,
        querystring: Paging,
        response: { 200: pageOf(RejectedRowShape), ...PROBLEMS },
      },
    },
    async ({ params, query }) => {
      const run = await runOf(context, params.run);
      refuseForgotten(run);
      return pageFrom(rejectedRows(context, run), query);
    },
  );

  app.get(
    '/runs/:run/events',
    {
      // Nothing ends a stream of which nobody takes the body.
      exposeHeadRoute: false,
      config: read,
      schema: {
        tags,
        summary: "A stream of the run's progress (server-sent events `progress`, then `end`)",
        params,
        response: { 200: RunEvents, ...PROBLEMS },
      },
    },
    async (request, reply) => streamRun(store, request, reply, (await runOf(context, request.params.run))._id),
  );

  app.post(
    '/runs/:run/approve',
    {
      config: write,
      schema: {
        tags,
        summary: 'Applies a held plan as it was shown, whole or in part',
        description:
          'Where what the plan was made from has changed since, it is planned and guarded anew: the answer is then the report of the new run, which `location` names. A part of such a plan is refused with `stale-plan`.',
        params,
        body: Approval.nullish(),
        response: { 202: RunReport, ...PROBLEMS },
      },
    },
    async ({ params, body, principal }, reply) => {
      const { _id } = await runOf(context, params.run);
      const part = body ? await partOf(context, body, await sightOf(context, principal)) : undefined;
      const run = await approveOrPlanAgain(context, _id, principal.by, part);
      // Where Redis cannot be reached the workers' relay finds the batches.
      await withPatience(enqueueRun(store, context.queues, run._id)).catch(() => undefined);
      reply.code(202).header('location', `/api/v1/runs/${run._id}`);
      return reportOf(store, run);
    },
  );

  app.post(
    '/runs/:run/undo',
    {
      config: write,
      schema: {
        tags,
        summary: 'Turns a run back, as a new run under the guard; what newer changes overtook is listed',
        params,
        body: z.strictObject({ approve: z.boolean().default(false) }).nullish(),
        response: { 202: RunReport, ...PROBLEMS },
      },
    },
    async ({ params, body, principal }, reply) => {
      const { _id: run } = await runOf(context, params.run);
      const made = await undoRun(context, { run, by: principal.by, approve: body?.approve ?? false });
      await withPatience(enqueueRun(store, context.queues, made._id)).catch(() => undefined);
      reply.code(202).header('location', `/api/v1/runs/${made._id}`);
      return reportOf(store, made);
    },
  );

  app.post(
    '/runs/:run/reject',
    {
      config: write,
      schema: {
        tags,
        summary: 'Drops a held plan; nothing of it is applied',
        params,
        body: z.strictObject({ reason: z.string().trim().min(1).max(1000).optional() }).nullish(),
        response: report,
      },
    },
    async ({ params, body, principal }) =>
      reportOf(store, await rejectRun(context, (await runOf(context, params.run))._id, principal.by, body?.reason)),
  );

  app.post(
    '/runs/:run/cancel',
    {
      config: write,
      schema: { tags, summary: 'Ends a run that has not begun to be applied', params, response: report },
    },
    async ({ params, principal }) =>
      reportOf(store, await cancelRun(context, (await runOf(context, params.run))._id, principal.by)),
  );
}

const Position = z.tuple([z.number(), z.string()]);

function latest(
  { store }: HttpContext,
  filter: { feed?: string; state?: RunDoc['state'] },
  limit: number,
  cursor: string | undefined,
): Promise<RunDoc[]> {
  const after = decodeCursor(Position, cursor);
  const older = after && {
    $or: [
      { createdAt: { $lt: new Date(after[0]) } },
      { createdAt: new Date(after[0]), _id: { $lt: after[1] as RunId } },
    ],
  };
  return store.runs
    .find({ ...filter, ...older })
    .sort({ createdAt: -1, _id: -1 })
    .limit(limit)
    .toArray();
}

async function runOf({ store }: HttpContext, id: string): Promise<RunDoc> {
  const run = await readRun(store, id as RunId);
  if (!run) throw new NotFound(`There is no run ${id}.`);
  return run;
}

async function partOf(context: HttpContext, body: z.output<typeof Approval>, sight: Sight): Promise<PlanPart> {
  if ('only' in body) return { kind: 'only', rows: new Set(body.only) };
  if (!('except' in body)) return { kind: 'without-removals' };
  const learners = new Set<LearnerId>();
  for (const text of body.except) learners.add((await learnerIn(context, sight, text)).id);
  return { kind: 'except', learners };
}
