import { z } from 'zod';
import { type ExternalId, externalId, type LearnerId } from '../../domain/ids.ts';
import type { Group } from '../../domain/structure.ts';
import { createGroups } from '../../run/bulk.ts';
import { createGroup, deleteGroup, editGroup, type GroupEdit, moveGroup } from '../../run/structureChange.ts';
import { membersAt } from '../../run/views/asOf.ts';
import { type MemberView, membersOf, viewGroup } from '../../run/views/groupView.ts';
import { keyIn, keyOf } from '../../run/views/key.ts';
import { viewResult } from '../../run/views/resultView.ts';
import { readStructure } from '../../store/structure.ts';
import type { App } from '../app.ts';
import type { HttpContext } from '../context.ts';
import { decodeCursor, encodeCursor, type Page, Paging, pageFrom, pageIn, pageOf } from '../cursors.ts';
import { groupMatch, tagGroup } from '../etags.ts';
import { narrowing } from '../narrow.ts';
import { ADMINISTRATORS, EVERYBODY, may, TEACHERS } from '../principal.ts';
import { notFound } from '../problems.ts';
import { Bulk, Flag, Moment, PROBLEMS, Reference, Removal, Result } from '../shapes/common.ts';
import {
  GroupEditShape,
  GroupMove,
  GroupRow,
  GroupShape,
  GroupsImport,
  Member,
  NewGroupShape,
} from '../shapes/groups.ts';
import { groupIn, type Sight, sightOf } from '../sight.ts';

const tags = ['groups'];
export const groupParams = z.object({ group: z.string().max(1500) });
const write = may('write', 'groups', ADMINISTRATORS);

export function groupRoutes(app: App, context: HttpContext): void {
  app.get(
    '/groups',
    {
      config: may('read', 'groups', EVERYBODY),
      schema: {
        tags,
        summary: 'The groups, in the order of their keys; `parent` alone: those that lie in it',
        querystring: Paging.extend({ parent: Reference.optional() }),
        response: { 200: pageOf(GroupRow), ...PROBLEMS },
      },
    },
    async ({ query, principal }) => {
      const sight = await sightOf(context, principal);
      const parent = query.parent === undefined ? undefined : groupIn(sight, query.parent).id;
      const groups = [...sight.structure.groups].filter(
        ({ id, parent: above }) => sight.seesGroup(id) && (parent === undefined || above === parent),
      );
      const page = pageIn(groups, query, keyOf);
      return { ...page, items: page.items.map((group) => rowOf(group, sight)) };
    },
  );

  app.get(
    '/groups/:group',
    {
      config: may('read', 'groups', EVERYBODY),
      schema: {
        tags,
        summary: 'A group: where it lies, its courses, how many members',
        params: groupParams,
        response: { 200: GroupShape, ...PROBLEMS },
      },
    },
    async ({ params, principal }, reply) => {
      const sight = await sightOf(context, principal);
      const group = groupIn(sight, params.group);
      // A revision tells of changes that others may not see.
      if (sight.groups === null) await tagGroup(context, reply, group.id);
      return narrowing(sight, principal).group(await viewGroup(context, group));
    },
  );

  app.get(
    '/groups/:group/members',
    {
      config: may('read', 'learners', TEACHERS),
      schema: {
        tags,
        summary: 'The learners in a group; `effective`: also in those below it, valid now alone; `at`: as of a date',
        params: groupParams,
        querystring: Paging.extend({ effective: Flag, at: Moment.optional() }),
        response: { 200: pageOf(Member), ...PROBLEMS },
      },
    },
    async ({ params, query: { at, effective, ...paging }, principal }) => {
      const sight = await sightOf(context, principal);
      const group = groupIn(sight, params.group);
      if (at === undefined) return pageOfMembers(context, group, { effective, ...paging });
      // What was at a date is for those who see everything: others might see whom they see no more.
      if (sight.groups !== null) throw notFound;
      return pageFrom(membersAt(context, group.id, { effective, at }), paging);
    },
  );

  app.post(
    '/groups',
    {
      config: { ...write, refusal: 409 },
      schema: { tags, summary: 'Creates a group', body: NewGroupShape, response: { 201: GroupShape, ...PROBLEMS } },
    },
    async ({ body, principal }, reply) => {
      const { name, externalId, parent, instructors, subenvironments } = body;
      const sight = await sightOf(context, principal);
      const id = await createGroup(context, {
        name,
        ...(externalId !== undefined && { externalId: clean(externalId) }),
        ...(parent !== undefined && { parent: groupIn(sight, parent).id }),
        ...(instructors && { instructors }),
        ...(subenvironments && { subenvironments }),
        by: principal.by,
      });
      reply.code(201).header('location', `/api/v1/groups/id:${id}`);
      await tagGroup(context, reply, id);
      return viewAgain(context, id);
    },
  );

  app.post(
    '/groups/import',
    {
      config: { ...write, refusal: 409 },
      bodyLimit: 16 * 1024 * 1024,
      schema: {
        tags,
        summary: 'Creates many groups as one change, with what became of each',
        body: GroupsImport,
        response: { 200: Bulk, ...PROBLEMS },
      },
    },
    async ({ body, principal }) => {
      const groups = body.groups.map(({ externalId, name, parent, courses }) => ({
        externalId: clean(externalId),
        name,
        ...(parent !== undefined && { parent: clean(parent) }),
        ...(courses && { courses: courses.map(clean) }),
      }));
      return { lines: await createGroups(context, { groups, by: principal.by }) };
    },
  );

  app.patch(
    '/groups/:group',
    {
      config: { ...write, refusal: 409 },
      schema: {
        tags,
        summary: 'Changes name, External ID, instructors or subenvironments',
        params: groupParams,
        body: GroupEditShape,
        response: { 200: GroupShape, ...PROBLEMS },
      },
    },
    async (request, reply) => {
      const { params, body, principal } = request;
      const { id } = groupIn(await sightOf(context, principal), params.group);
      const revision = await groupMatch(context, request, id);
      await editGroup(context, {
        group: id,
        set: editOf(body),
        by: principal.by,
        revision,
      });
      await tagGroup(context, reply, id);
      return viewAgain(context, id);
    },
  );

  app.post(
    '/groups/:group/move',
    {
      config: { ...write, refusal: 409 },
      schema: {
        tags,
        summary: 'Puts a group, with those below it, into another, or at the top',
        params: groupParams,
        body: GroupMove,
        response: { 200: Result, ...PROBLEMS },
      },
    },
    async (request) => {
      const { params, body, principal } = request;
      const sight = await sightOf(context, principal);
      const { id } = groupIn(sight, params.group);
      const parent = body.parent === null ? null : groupIn(sight, body.parent).id;
      const order = { by: principal.by, revision: await groupMatch(context, request, id) };
      return viewResult(
        context.store,
        await moveGroup(context, { group: id, parent, courses: body.removal, ...order }),
      );
    },
  );

  app.delete(
    '/groups/:group',
    {
      config: { ...write, refusal: 409 },
      schema: {
        tags,
        summary: 'Deletes a group; those in it go to its parent',
        params: groupParams,
        querystring: z.strictObject({ removal: Removal.default('expire') }),
        response: { 200: Result, ...PROBLEMS },
      },
    },
    async (request) => {
      const { params, query, principal } = request;
      const { id } = groupIn(await sightOf(context, principal), params.group);
      const order = { by: principal.by, revision: await groupMatch(context, request, id) };
      return viewResult(context.store, await deleteGroup(context, { group: id, courses: query.removal, ...order }));
    },
  );
}

function rowOf(group: Group, { structure, courses, seesGroup, seesCourse }: Sight): z.output<typeof GroupRow> {
  const { id, externalId, name, parent } = group;
  const above = parent !== undefined && seesGroup(parent) ? structure.group(parent) : undefined;
  return {
    id: `id:${id}`,
    externalId: externalId ?? null,
    name,
    parent: above ? keyOf(above) : null,
    children: structure.children(id).filter(seesGroup).length,
    courses: group.courses.filter(seesCourse).map((course) => keyIn(courses, course)),
  };
}

/** The group as it is after a change; those who change groups see all of it. */
async function viewAgain(context: HttpContext, id: Group['id']) {
  return viewGroup(context, (await readStructure(context.store)).group(id) as Group);
}

function clean(text: string): ExternalId {
  return externalId(text) as ExternalId;
}

function editOf({ externalId, name, instructors, subenvironments }: z.output<typeof GroupEditShape>): GroupEdit {
  return {
    ...(name !== undefined && { name }),
    ...(externalId !== undefined && { externalId: externalId === null ? null : clean(externalId) }),
    ...(instructors && { instructors }),
    ...(subenvironments && { subenvironments }),
  };
}

/** A page holds all rows of the learners on it: a learner stands there once for each group. */
async function pageOfMembers(
  context: HttpContext,
  { id }: Group,
  { effective, limit, cursor }: { effective: boolean; limit: number; cursor?: string | undefined },
): Promise<Page<MemberView>> {
  const after = decodeCursor(z.string().regex(/^id:\d{1,15}$/), cursor);
  const items: MemberView[] = [];
  const members = membersOf(context, id, {
    effective,
    ...(after !== undefined && { after: Number(after.slice(3)) as LearnerId }),
  });
  for await (const member of members) {
    const last = items.at(-1);
    if (last && items.length >= limit && member.id !== last.id) return { items, next: encodeCursor(last.id) };
    items.push(member);
  }
  return { items, next: null };
}
