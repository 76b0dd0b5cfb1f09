import { z } from 'zod';
import { UsageError } from '../../domain/errors.ts';
import { type CourseId, externalId, type LearnerId } from '../../domain/ids.ts';
import type { Course } from '../../domain/structure.ts';
import { grantCourse, previewRevoke, revokeCourse } from '../../run/grants.ts';
import { addCourse } from '../../run/structureChange.ts';
import {
  countSubscriptions,
  courseView,
  type SubscriberView,
  subscribersOf,
  viewCourse,
} from '../../run/views/courseView.ts';
import { keyOf } from '../../run/views/key.ts';
import { viewResult, viewSkipped } from '../../run/views/resultView.ts';
import { readCourses } from '../../store/structure.ts';
import { holdersOf } from '../../store/subscriptions.ts';
import type { App } from '../app.ts';
import type { HttpContext } from '../context.ts';
import { decodeCursor, encodeCursor, type Page, Paging, pageIn, pageOf } from '../cursors.ts';
import { namedLearners } from '../learnerLines.ts';
import { narrowing } from '../narrow.ts';
import { ADMINISTRATORS, EVERYBODY, may, OPERATORS, type Principal } from '../principal.ts';
import { notFound } from '../problems.ts';
import { PROBLEMS, RemovalPreviewShape, ResultWithLines } from '../shapes/common.ts';
import { CourseShape, Grant, NewCourseShape, Revoke, Subscriber } from '../shapes/learners.ts';
import { courseIn, sightOf } from '../sight.ts';

const tags = ['courses'];
const params = z.object({ course: z.string().max(1500) });
const read = may('read', 'courses', EVERYBODY);
const write = may('write', 'courses', ADMINISTRATORS);
/** Says no more of the courses of others than it must (R29). */
const unusable = new UsageError('This name or External ID cannot be used; nothing was changed. Choose another one.');

export function courseRoutes(app: App, context: HttpContext): void {
  const { store } = context;
  /** The course and the learners of a request, told apart by whether they hold a grant of it. */
  const listedIn = async ({ params, body, principal }: ListOfLearners) => {
    const course = courseIn(await sightOf(context, principal), params.course).id;
    const named = await namedLearners(context, body.learners);
    const ids = named.learners.map(({ id }) => id);
    const granted = new Set(await holdersOf(store, new Set([course]), ids));
    return { course, named, granted, others: ids.filter((id) => !granted.has(id)) };
  };

  app.get(
    '/courses',
    {
      config: read,
      schema: {
        tags,
        summary: 'Courses with their groups and subscriptions',
        querystring: Paging,
        response: { 200: pageOf(CourseShape), ...PROBLEMS },
      },
    },
    async ({ query, principal }) => {
      const sight = await sightOf(context, principal);
      const page = pageIn(
        [...sight.courses.values()].filter(({ id }) => sight.seesCourse(id)),
        query,
        keyOf,
      );
      const counts = sight.groups === null ? await countSubscriptions(store) : new Map<CourseId, never>();
      const narrow = narrowing(sight, principal);
      return {
        ...page,
        items: page.items.map((course) => narrow.course(courseView(course, sight.structure, counts.get(course.id)))),
      };
    },
  );

  app.get(
    '/courses/:course',
    {
      config: read,
      schema: {
        tags,
        summary: 'A course: the groups that give it, how many have it',
        params,
        response: { 200: CourseShape, ...PROBLEMS },
      },
    },
    async ({ params, principal }) => {
      const sight = await sightOf(context, principal);
      return narrowing(sight, principal).course(await viewCourse(context, courseIn(sight, params.course)));
    },
  );

  app.post(
    '/courses',
    {
      config: { ...may('write', 'courses', [...ADMINISTRATORS, 'reseller']), refusal: 409 },
      schema: {
        tags,
        summary: 'Adds a course; a reseller adds it in a subenvironment of his',
        body: NewCourseShape,
        response: { 201: CourseShape, ...PROBLEMS },
      },
    },
    async ({ body: { name, externalId: text, subenvironment }, principal }, reply) => {
      if (principal.role === 'reseller') {
        if (subenvironment === undefined)
          throw new UsageError('Name the subenvironment that the course is in; nothing was changed.');
        if (!principal.subenvironments.includes(subenvironment)) throw notFound;
      }
      const id = text === undefined ? undefined : externalId(text);
      const added = await addCourse(context, {
        name,
        ...(id && { externalId: id }),
        ...(subenvironment !== undefined && { subenvironment }),
        by: principal.owner,
      }).catch((error: unknown) => {
        throw principal.role === 'reseller' && error instanceof UsageError ? unusable : error;
      });
      const course = (await readCourses(store)).get(added) as Course;
      reply.code(201).header('location', `/api/v1/courses/id:${added}`);
      return narrowing(await sightOf(context, principal), principal).course(await viewCourse(context, course));
    },
  );

  app.get(
    '/courses/:course/subscribers',
    {
      config: may('read', 'learners', OPERATORS),
      schema: {
        tags,
        summary: 'Everybody who has the course, or had it',
        params,
        querystring: Paging,
        response: { 200: pageOf(Subscriber), ...PROBLEMS },
      },
    },
    async ({ params, query, principal }) =>
      pageOfSubscribers(context, courseIn(await sightOf(context, principal), params.course), query),
  );

  app.post(
    '/courses/:course/grant',
    {
      config: write,
      bodyLimit: 16 * 1024 * 1024,
      schema: {
        tags,
        summary: 'Gives learners a course by hand, without a group',
        params,
        body: Grant,
        response: { 200: ResultWithLines, ...PROBLEMS },
      },
    },
    async (request) => {
      const { course, named, granted, others } = await listedIn(request);
      const result = await grantCourse(context, { course, learners: others, by: request.principal.by });
      return {
        ...(await viewResult(store, result)),
        lines: named.lines(({ id }) => (granted.has(id) ? 'already' : 'granted')),
      };
    },
  );

  app.post(
    '/courses/:course/revoke',
    {
      config: write,
      bodyLimit: 16 * 1024 * 1024,
      schema: {
        tags,
        summary: 'Ends direct grants; what a group gives as well stays',
        params,
        body: Revoke,
        response: { 200: ResultWithLines, ...PROBLEMS },
      },
    },
    async (request) => {
      const { course, named, granted } = await listedIn(request);
      const order = { option: request.body.removal, by: request.principal.by };
      const result = await revokeCourse(context, { course, learners: [...granted], ...order });
      return {
        ...(await viewResult(store, result)),
        lines: named.lines(({ id }) => (granted.has(id) ? 'revoked' : 'no grant')),
      };
    },
  );

  app.post(
    '/courses/:course/preview',
    {
      config: may('read', 'courses', ADMINISTRATORS),
      bodyLimit: 16 * 1024 * 1024,
      schema: {
        tags,
        summary: 'What ending direct grants would do, and what a purge would delete; nothing is changed',
        params,
        body: Revoke,
        response: { 200: RemovalPreviewShape, ...PROBLEMS },
      },
    },
    async (request) => {
      const { course, granted } = await listedIn(request);
      const found = await previewRevoke(context, { course, learners: [...granted], option: request.body.removal });
      return { ...found, skipped: await viewSkipped(store, found.skipped) };
    },
  );
}

interface ListOfLearners {
  readonly params: { readonly course: string };
  readonly body: { readonly learners: readonly string[] };
  readonly principal: Principal;
}

async function pageOfSubscribers(
  context: HttpContext,
  { id }: Course,
  { limit, cursor }: z.output<typeof Paging>,
): Promise<Page<SubscriberView>> {
  const after = decodeCursor(z.string().regex(/^id:\d{1,15}$/), cursor);
  const items: SubscriberView[] = [];
  for await (const subscriber of subscribersOf(
    context,
    id,
    after === undefined ? undefined : (Number(after.slice(3)) as LearnerId),
  )) {
    const last = items.at(-1);
    if (last && items.length === limit) return { items, next: encodeCursor(last.id) };
    items.push(subscriber);
  }
  return { items, next: null };
}
