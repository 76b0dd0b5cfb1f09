import type { z } from 'zod';
import type { GroupId } from '../../domain/ids.ts';
import { MANUAL } from '../../domain/ids.ts';
import type { Learner } from '../../domain/learner.ts';
import type { Group } from '../../domain/structure.ts';
import { addMembers, previewRemoval, removeMembers } from '../../run/memberships.ts';
import { linkCourses, refuseCircle, unlinkCourses } from '../../run/structureChange.ts';
import { previewStructure } from '../../run/views/purgePreview.ts';
import { viewResult, viewSkipped } from '../../run/views/resultView.ts';
import type { App } from '../app.ts';
import type { HttpContext } from '../context.ts';
import { groupMatch } from '../etags.ts';
import { namedLearners } from '../learnerLines.ts';
import { ADMINISTRATORS, may } from '../principal.ts';
import { Nothing, PROBLEMS, RemovalPreviewShape, Result, ResultWithLines } from '../shapes/common.ts';
import { ChangeToPreview, Link, MembersAdd, MembersRemove, Unlink } from '../shapes/groups.ts';
import { coursesIn, groupIn, type Sight, sightOf } from '../sight.ts';
import { groupParams } from './groups.ts';

const tags = ['groups'];
const write = may('write', 'groups', ADMINISTRATORS);

/** Members put into a group and taken out, courses linked and unlinked; and what each would do (R6–R11). */
export function groupChangeRoutes(app: App, context: HttpContext): void {
  const { store } = context;

  app.post(
    '/groups/:group/add',
    {
      config: write,
      bodyLimit: 16 * 1024 * 1024,
      schema: {
        tags,
        summary: 'Puts learners into a group by hand, with what became of each',
        params: groupParams,
        body: MembersAdd,
        response: { 200: ResultWithLines, ...PROBLEMS },
      },
    },
    async ({ params, body, principal }) => {
      const { id: group } = groupIn(await sightOf(context, principal), params.group);
      const named = await namedLearners(context, body.learners);
      const result = await addMembers(context, {
        group,
        learners: named.learners.map(({ id }) => id),
        by: principal.by,
      });
      const lines = named.lines((learner) => (holds(learner, group, MANUAL) ? 'already' : 'added'));
      return { ...(await viewResult(store, result)), lines };
    },
  );

  app.post(
    '/groups/:group/remove',
    {
      config: write,
      bodyLimit: 16 * 1024 * 1024,
      schema: {
        tags,
        summary: 'Takes learners, or all, out of a group, whoever put them in',
        params: groupParams,
        body: MembersRemove,
        response: { 200: ResultWithLines, ...PROBLEMS },
      },
    },
    async ({ params, body: { learners, removal }, principal }) => {
      const { id: group } = groupIn(await sightOf(context, principal), params.group);
      const named = learners === 'all' ? undefined : await namedLearners(context, learners);
      const result = await removeMembers(context, {
        group,
        learners: named ? named.learners.map(({ id }) => id) : 'all',
        courses: removal,
        by: principal.by,
      });
      const lines = named?.lines((learner) => (holds(learner, group) ? 'removed' : 'not a member')) ?? [];
      return { ...(await viewResult(store, result)), lines };
    },
  );

  app.post(
    '/groups/:group/link',
    {
      config: may('write', 'groups', [...ADMINISTRATORS, 'reseller']),
      schema: {
        tags,
        summary: 'Gives the members of a group, and of those below it, access to courses',
        description:
          'A reseller links groups that he sees to courses that he created, and is told nothing of who receives them (204).',
        params: groupParams,
        body: Link,
        response: { 200: Result, 204: Nothing, ...PROBLEMS },
      },
    },
    async (request, reply) => {
      const { params, body, principal } = request;
      const sight = await sightOf(context, principal);
      const { id: group } = groupIn(sight, params.group);
      const courses = coursesIn(sight, body.courses).map(({ id }) => id);
      const revision = await groupMatch(context, request, group);
      const result = await linkCourses(context, { group, courses, by: principal.by, revision });
      return sight.groups === null ? viewResult(store, result) : reply.code(204).send();
    },
  );

  app.post(
    '/groups/:group/unlink',
    {
      config: write,
      schema: {
        tags,
        summary: 'Takes courses away from a group',
        params: groupParams,
        body: Unlink,
        response: { 200: Result, ...PROBLEMS },
      },
    },
    async (request) => {
      const { params, body, principal } = request;
      const sight = await sightOf(context, principal);
      const { id: group } = groupIn(sight, params.group);
      const courses = coursesIn(sight, body.courses).map(({ id }) => id);
      const order = { by: principal.by, revision: await groupMatch(context, request, group) };
      return viewResult(store, await unlinkCourses(context, { group, courses, option: body.removal, ...order }));
    },
  );

  app.post(
    '/groups/:group/preview',
    {
      config: { ...may('read', 'groups', ADMINISTRATORS), refusal: 409 },
      bodyLimit: 16 * 1024 * 1024,
      schema: {
        tags,
        summary:
          'What a removal, move, unlinking or deletion would end, and what a purge would delete; nothing is changed',
        params: groupParams,
        body: ChangeToPreview,
        response: { 200: RemovalPreviewShape, ...PROBLEMS },
      },
    },
    async ({ params, body, principal }) => {
      const sight = await sightOf(context, principal);
      const group = groupIn(sight, params.group);
      if (body.change !== 'remove') {
        return {
          ...(await previewStructure(context, group.id, changeOf(body, group, sight))),
          counts: null,
          stay: null,
          skipped: [],
        };
      }
      const learners =
        body.learners === 'all' ? 'all' : (await namedLearners(context, body.learners)).learners.map(({ id }) => id);
      const found = await previewRemoval(context, { group: group.id, learners, courses: body.removal });
      return { ...found, skipped: await viewSkipped(store, found.skipped) };
    },
  );
}

/** The groups as they would be after the change. */
function changeOf(
  body: Exclude<z.output<typeof ChangeToPreview>, { change: 'remove' }>,
  group: Group,
  sight: Sight,
): (one: Group) => Group | null {
  const below = (one: Group, parent: GroupId | undefined): Group => {
    const { parent: _, ...rest } = one;
    return { ...rest, ...(parent !== undefined && { parent }) };
  };
  if (body.change === 'move') {
    const parent = body.parent === null ? undefined : groupIn(sight, body.parent);
    if (parent) refuseCircle(sight.structure, group, parent);
    return (one) => (one.id === group.id ? below(one, parent?.id) : one);
  }
  if (body.change === 'delete') {
    return (one) => (one.id === group.id ? null : one.parent === group.id ? below(one, group.parent) : one);
  }
  const gone = new Set(coursesIn(sight, body.courses).map(({ id }) => id));
  return (one) => (one.id === group.id ? { ...one, courses: one.courses.filter((course) => !gone.has(course)) } : one);
}

function holds(learner: Learner, group: GroupId, source?: string): boolean {
  const membership = learner.memberships.find((one) => one.group === group);
  return membership?.sources.some((one) => source === undefined || one.source === source) ?? false;
}
