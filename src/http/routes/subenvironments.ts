import { z } from 'zod';
import { setSubenvironment } from '../../run/structureChange.ts';
import {
  createSubenvironment,
  deleteSubenvironment,
  listSubenvironments,
  readSubenvironment,
  type SubenvironmentView,
  setAccess,
} from '../../run/subenvironments.ts';
import type { App } from '../app.ts';
import { refuseWithoutScope } from '../authenticate.ts';
import type { HttpContext } from '../context.ts';
import { Paging, pageIn, pageOf } from '../cursors.ts';
import { ADMINISTRATORS, may, type Principal, seesUsers } from '../principal.ts';
import { list, PROBLEMS, Reference } from '../shapes/common.ts';
import { Login } from '../shapes/users.ts';
import { groupIn, sightOf } from '../sight.ts';

const tags = ['subenvironments'];
const params = z.object({ subenvironment: z.string().max(1500) });
const read = may('read', 'groups', ADMINISTRATORS);
const write = { ...may('write', 'groups', ADMINISTRATORS), refusal: 409 };
const access = { ...may('write', 'users', ADMINISTRATORS), refusal: 409 };

const Subenvironment = z.object({
  name: z.string(),
  groups: list(z.string()),
  courses: list(z.string()),
  users: list(z.string()),
  createdAt: z.date().nullable(),
  createdBy: z.string().nullable(),
});
const Groups = z.strictObject({ groups: z.array(Reference).min(1).max(1000) });
const Users = z.strictObject({ users: z.array(Login).min(1).max(1000) });

/** Who may not read users sees none of their names. */
const shownTo =
  (principal: Principal) =>
  (view: SubenvironmentView): SubenvironmentView =>
    seesUsers(principal) ? view : { ...view, users: [], createdBy: null };

export function subenvironmentRoutes(app: App, context: HttpContext): void {
  const response = { 200: Subenvironment, ...PROBLEMS };

  app.get(
    '/subenvironments',
    {
      config: read,
      schema: {
        tags,
        summary: 'The subenvironments, with what is in each',
        querystring: Paging,
        response: { 200: pageOf(Subenvironment), ...PROBLEMS },
      },
    },
    async ({ query, principal }) =>
      pageIn((await listSubenvironments(context)).map(shownTo(principal)), query, ({ name }) => name),
  );
  app.post(
    '/subenvironments',
    {
      config: write,
      schema: {
        tags,
        summary: 'Makes a subenvironment',
        body: z.strictObject({ name: z.string().trim().min(1).max(200) }),
        response: { 201: Subenvironment, ...PROBLEMS },
      },
    },
    async ({ body, principal }, reply) => {
      const made = await createSubenvironment(context, { name: body.name, by: principal.by });
      return reply
        .code(201)
        .header('location', `/api/v1/subenvironments/${encodeURIComponent(made.name)}`)
        .send(shownTo(principal)(made));
    },
  );
  app.get(
    '/subenvironments/:subenvironment',
    { config: read, schema: { tags, summary: 'Its groups, its courses and who has access to it', params, response } },
    async ({ params, principal }) => shownTo(principal)(await readSubenvironment(context, params.subenvironment)),
  );
  app.delete(
    '/subenvironments/:subenvironment',
    {
      config: write,
      schema: {
        tags,
        summary: 'Deletes it: groups are unlinked, its courses are in none, resellers lose it. Answers what was in it',
        description: 'A key needs the scope `users:write` as well.',
        params,
        response,
      },
    },
    ({ params, principal }) => {
      // Users lose it with that.
      refuseWithoutScope(principal, access.access);
      return deleteSubenvironment(context, { name: params.subenvironment, by: principal.by });
    },
  );
  for (const [verb, linked, summary] of [
    ['link', true, 'Links groups to it'],
    ['unlink', false, 'Unlinks groups from it'],
  ] as const) {
    app.post(
      `/subenvironments/:subenvironment/${verb}`,
      { config: write, schema: { tags, summary, params, body: Groups, response } },
      async ({ params: { subenvironment: name }, body, principal }) => {
        await readSubenvironment(context, name);
        const sight = await sightOf(context, principal);
        const groups = body.groups.map((text) => groupIn(sight, text).id);
        await setSubenvironment(context, { groups, name, linked, by: principal.by });
        return shownTo(principal)(await readSubenvironment(context, name));
      },
    );
  }
  for (const [verb, allowed, summary] of [
    ['allow', true, 'Gives resellers access to it'],
    ['deny', false, 'Takes access to it away from resellers'],
  ] as const) {
    app.post(
      `/subenvironments/:subenvironment/${verb}`,
      { config: access, schema: { tags, summary, params, body: Users, response } },
      ({ params, body: { users }, principal }) =>
        setAccess(context, { name: params.subenvironment, users, allowed, by: principal.by }),
    );
  }
}
