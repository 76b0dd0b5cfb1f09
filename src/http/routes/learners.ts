import { z } from 'zod';
import { externalId, type LearnerId } from '../../domain/ids.ts';
import type { Identity, Learner } from '../../domain/learner.ts';
import { addLearners } from '../../run/bulk.ts';
import { addLearner, editLearner, moveLearner } from '../../run/memberships.ts';
import { recordProgress } from '../../run/progress.ts';
import { viewLearnerAt } from '../../run/views/asOf.ts';
import { historyOf } from '../../run/views/historyView.ts';
import { keyIn } from '../../run/views/key.ts';
import { type ListPosition, listLearners } from '../../run/views/learnerList.ts';
import {
  compare,
  figuresOf,
  type LearnerView,
  type ProgressFigures,
  readSurroundings,
  viewLearners,
} from '../../run/views/learnerView.ts';
import { readProgress } from '../../run/views/progressView.ts';
import { viewResult } from '../../run/views/resultView.ts';
import { whyCourse } from '../../run/why.ts';
import { learnersById } from '../../store/learners.ts';
import type { App } from '../app.ts';
import type { HttpContext } from '../context.ts';
import { decodeCursor, encodeCursor, Paging, pageOf, pageOfList } from '../cursors.ts';
import { learnerMatch, tagLearner } from '../etags.ts';
import { narrowing } from '../narrow.ts';
import { ADMINISTRATORS, may, OPERATORS, TEACHERS } from '../principal.ts';
import { notFound } from '../problems.ts';
import { Bulk, list, Moment, PROBLEMS, Reference, Result } from '../shapes/common.ts';
import { HistoryEntryShape, WhyShape } from '../shapes/history.ts';
import {
  CourseProgress,
  LearnerEditShape,
  LearnerMove,
  LearnerRow,
  LearnerShape,
  LearnersImport,
  NewLearnerShape,
  ProgressReport,
} from '../shapes/learners.ts';
import { courseIn, groupIn, learnerIn, sightOf } from '../sight.ts';

const tags = ['learners'];
export const learnerParams = z.object({ learner: z.string().max(1500) });
const params = learnerParams;
const read = may('read', 'learners', TEACHERS);
const write = { ...may('write', 'learners', ADMINISTRATORS), refusal: 409 };
const Position = z.union([z.strictObject({ externalId: z.string() }), z.strictObject({ id: z.number().int() })]);

export function learnerRoutes(app: App, context: HttpContext): void {
  const { store } = context;

  app.get(
    '/learners',
    {
      config: read,
      schema: {
        tags,
        summary: 'Learners in the order of their External IDs, then those without one',
        querystring: Paging.extend({
          group: Reference.optional(),
          status: z.enum(['active', 'inactive']).optional(),
          /** What External ID, e-mail address, first or last name begins with. */
          search: z.string().min(1).max(200).optional(),
        }),
        response: { 200: pageOf(LearnerRow), ...PROBLEMS },
      },
    },
    async ({ query: { group, status, search, limit, cursor }, principal }) => {
      const sight = await sightOf(context, principal);
      const after: ListPosition | undefined = decodeCursor(Position, cursor);
      const rows = await listLearners(context, {
        ...(group !== undefined && { group: groupIn(sight, group).id }),
        ...(status && { status }),
        ...(search !== undefined && { search }),
        ...(sight.groups && { within: [...sight.groups] }),
        ...(after && { after }),
        limit: limit + 1,
      });
      const items = rows.slice(0, limit);
      const last = items.at(-1);
      const next =
        rows.length > limit && last
          ? encodeCursor(last.externalId === null ? { id: Number(last.id.slice(3)) } : { externalId: last.externalId })
          : null;
      return { items: items.map(narrowing(sight, principal).row), next };
    },
  );

  app.get(
    '/learners/:learner',
    {
      config: read,
      schema: {
        tags,
        summary: 'A learner with memberships, subscriptions and progress; `at`: as of a date, without progress',
        params,
        querystring: z.strictObject({ at: Moment.optional() }),
        response: { 200: LearnerShape, ...PROBLEMS },
      },
    },
    async ({ params, query: { at }, principal }, reply) => {
      const sight = await sightOf(context, principal);
      const learner = await learnerIn(context, sight, params.learner);
      if (at !== undefined) {
        // Others might see groups that they see no more.
        const then = sight.groups === null ? await viewLearnerAt(context, learner.id, at) : null;
        if (!then) throw notFound;
        return then;
      }
      // A revision tells of changes that others may not see.
      if (sight.groups === null) tagLearner(reply, learner);
      return narrowing(sight, principal).learner(await viewOne(context, learner));
    },
  );

  app.get(
    '/learners/:learner/history',
    {
      config: may('read', 'learners', OPERATORS),
      schema: {
        tags,
        summary: 'The timeline of a learner: what changed, when, by whom and why',
        params,
        querystring: Paging,
        response: { 200: pageOf(HistoryEntryShape), ...PROBLEMS },
      },
    },
    async ({ params, query, principal }) => {
      const learner = await learnerIn(context, await sightOf(context, principal), params.learner);
      return pageOfList(await historyOf(context, learner.id), query);
    },
  );

  app.get(
    '/learners/:learner/why/:course',
    {
      config: may('read', 'learners', OPERATORS),
      schema: {
        tags,
        summary: 'The chain of reasons why a learner has a course, or has it no more',
        params: params.extend({ course: z.string().max(1500) }),
        response: { 200: WhyShape, ...PROBLEMS },
      },
    },
    async ({ params, principal }) => {
      const sight = await sightOf(context, principal);
      const learner = await learnerIn(context, sight, params.learner);
      return whyCourse(context, learner.id, courseIn(sight, params.course).id);
    },
  );

  app.post(
    '/learners',
    {
      config: write,
      schema: {
        tags,
        summary: 'Adds a learner by hand',
        body: NewLearnerShape,
        response: { 201: LearnerShape, ...PROBLEMS },
      },
    },
    async ({ body, principal }, reply) => {
      const id = await addLearner(context, { identity: identityOf(body), by: principal.by });
      reply.code(201).header('location', `/api/v1/learners/id:${id}`);
      return viewAgain(context, id, reply);
    },
  );

  app.post(
    '/learners/import',
    {
      config: write,
      bodyLimit: 16 * 1024 * 1024,
      schema: {
        tags,
        summary: 'Adds many learners by hand as one change, with what became of each',
        body: LearnersImport,
        response: { 200: Bulk, ...PROBLEMS },
      },
    },
    async ({ body, principal }) => ({
      lines: await addLearners(context, { learners: body.learners.map(identityOf), by: principal.by }),
    }),
  );

  app.patch(
    '/learners/:learner',
    {
      config: write,
      schema: {
        tags,
        summary: 'Changes a learner by hand; null takes a field away',
        params,
        body: LearnerEditShape,
        response: { 200: LearnerShape, ...PROBLEMS },
      },
    },
    async (request, reply) => {
      const { params, body, principal } = request;
      const learner = await learnerIn(context, await sightOf(context, principal), params.learner);
      const revision = learnerMatch(request, learner);
      await editLearner(context, { learner: learner.id, set: editOf(body), by: principal.by, revision });
      return viewAgain(context, learner.id, reply);
    },
  );

  app.post(
    '/learners/:learner/move',
    {
      config: write,
      schema: {
        tags,
        summary: 'Into one group and out of another, as one change',
        params,
        body: LearnerMove,
        response: { 200: Result, ...PROBLEMS },
      },
    },
    async (request) => {
      const { params, body, principal } = request;
      const sight = await sightOf(context, principal);
      const learner = await learnerIn(context, sight, params.learner);
      const order = { learner: learner.id, by: principal.by, revision: learnerMatch(request, learner) };
      const [from, to] = [groupIn(sight, body.from).id, groupIn(sight, body.to).id];
      return viewResult(store, await moveLearner(context, { ...order, from, to }));
    },
  );

  app.get(
    '/learners/:learner/progress',
    {
      config: may('read', 'progress', TEACHERS),
      schema: {
        tags: ['progress'],
        summary: "A learner's results by course",
        params,
        response: { 200: z.object({ items: list(CourseProgress) }), ...PROBLEMS },
      },
    },
    async ({ params, principal }) => {
      const sight = await sightOf(context, principal);
      const learner = await learnerIn(context, sight, params.learner);
      const results = [...((await readProgress(store, [learner.id])).get(learner.id) ?? [])];
      const items = results
        .filter(([course]) => sight.seesCourse(course))
        .map(([course, doc]) => ({ course: keyIn(sight.courses, course), ...(figuresOf(doc) as ProgressFigures) }))
        .sort((a, b) => compare(a.course, b.course));
      return { items };
    },
  );

  app.post(
    '/learners/:learner/progress',
    {
      config: { ...may('write', 'progress', ADMINISTRATORS), refusal: 409 },
      schema: {
        tags: ['progress'],
        summary: 'Records a result of a learner in a course, or in one activity of it',
        params,
        body: ProgressReport,
        response: { 200: CourseProgress, ...PROBLEMS },
      },
    },
    async ({ params, body: { course: text, completion, score, activity }, principal }) => {
      const sight = await sightOf(context, principal);
      const learner = await learnerIn(context, sight, params.learner);
      const course = courseIn(sight, text);
      const doc = await recordProgress(context, {
        learner: learner.id,
        course: course.id,
        completion,
        ...(score !== undefined && { score }),
        ...(activity !== undefined && { activity }),
      });
      return { course: keyIn(sight.courses, course.id), ...(figuresOf(doc) as ProgressFigures) };
    },
  );
}

async function viewOne(context: HttpContext, learner: Learner): Promise<LearnerView> {
  const [view] = await viewLearners(context, [learner], await readSurroundings(context));
  return view as LearnerView;
}

/** The learner as it is after a change; those who change learners see all of it. */
async function viewAgain(
  context: HttpContext,
  id: LearnerId,
  reply: Parameters<typeof tagLearner>[0],
): Promise<LearnerView> {
  const learner = (await learnersById(context.store, [id])).get(id) as Learner;
  tagLearner(reply, learner);
  return viewOne(context, learner);
}

function identityOf({
  externalId: text,
  email,
  firstName,
  lastName,
  attributes,
}: z.output<typeof NewLearnerShape>): Identity {
  const id = text === undefined ? undefined : externalId(text);
  return {
    ...(id && { externalId: id }),
    ...(email && { email: email.normalize('NFC') }),
    ...(firstName && { firstName }),
    ...(lastName && { lastName }),
    status: 'active',
    attributes,
  };
}

function editOf({
  externalId: text,
  attributes = {},
  ...others
}: z.output<typeof LearnerEditShape>): Record<string, string | undefined> {
  const set: Record<string, string | undefined> = {};
  if (text !== undefined) set.externalId = text === null ? undefined : externalId(text);
  for (const [field, value] of Object.entries(others))
    if (value !== undefined) set[field] = value?.normalize('NFC') ?? undefined;
  for (const [name, value] of Object.entries(attributes))
    set[`attributes.${name}`] = value?.normalize('NFC') ?? undefined;
  return set;
}
