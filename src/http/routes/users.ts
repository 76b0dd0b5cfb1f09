import { z } from 'zod';
import { NotFound } from '../../domain/errors.ts';
import { addKey, editKey, listKeys, revokeKey } from '../../store/keys.ts';
import type { UserDoc } from '../../store/models.ts';
import { addUser, editUser, linkFor, listUsers, readUser, revokeUser } from '../../store/users.ts';
import type { App } from '../app.ts';
import type { HttpContext } from '../context.ts';
import { Paging, pageIn, pageOf } from '../cursors.ts';
import { contentMatch, tagContent } from '../etags.ts';
import { ADMINISTRATORS, may } from '../principal.ts';
import { Nothing, PROBLEMS } from '../shapes/common.ts';
import {
  Key,
  KeyEditShape,
  KeyWithToken,
  NewKeyShape,
  NewUserShape,
  User,
  UserEditShape,
  UserWithLink,
} from '../shapes/users.ts';
import { viewKey, viewUser } from '../views.ts';

const read = may('read', 'users', ADMINISTRATORS);
const write = may('write', 'users', ADMINISTRATORS);
const secret = { ...write, shownOnce: true } as const;

export function userRoutes(app: App, context: HttpContext): void {
  const tags = ['users'];
  const params = z.object({ user: z.string().max(200) });

  app.get(
    '/users',
    {
      config: read,
      schema: {
        tags,
        summary: 'People with their roles',
        querystring: Paging,
        response: { 200: pageOf(User), ...PROBLEMS },
      },
    },
    async ({ query }) => pageIn((await listUsers(context.store)).map(viewUser), query, ({ login }) => login),
  );

  app.post(
    '/users',
    {
      config: secret,
      schema: {
        tags,
        summary: 'Adds a person; the one-time link by which a password is set is shown once',
        body: NewUserShape,
        response: { 201: UserWithLink, ...PROBLEMS },
      },
    },
    async ({ body: { name, subenvironments, ...rest }, principal }, reply) => {
      const user = await addUser(context, {
        ...rest,
        ...(name && { name }),
        ...(subenvironments && { subenvironments }),
        by: principal.by,
      });
      return reply.code(201).send({ ...viewUser(user), link: await linkFor(context, user._id, principal.by) });
    },
  );

  app.get(
    '/users/:user',
    { config: read, schema: { tags, summary: 'A person', params, response: { 200: User, ...PROBLEMS } } },
    async ({ params }, reply) => {
      const view = viewUser(await userOf(context, params.user));
      tagContent(reply, view);
      return view;
    },
  );

  app.patch(
    '/users/:user',
    {
      config: write,
      schema: {
        tags,
        summary: 'Changes name, role or subenvironments',
        params,
        body: UserEditShape,
        response: { 200: User, ...PROBLEMS },
      },
    },
    async (request, reply) => {
      const { name, role, subenvironments, identity } = request.body;
      const stored = await userOf(context, request.params.user);
      const asRead = contentMatch(request, viewUser(stored)) ? stored : undefined;
      const set = {
        ...(name && { name }),
        ...(role && { role }),
        ...(subenvironments && { subenvironments }),
        ...(identity === null && { identity }),
      };
      const view = viewUser(await editUser(context, stored._id, set, { by: request.principal.by, asRead }));
      tagContent(reply, view);
      return view;
    },
  );

  app.post(
    '/users/:user/link',
    {
      config: secret,
      schema: {
        tags,
        summary: 'A new one-time link, by which the person sets a new password',
        params,
        response: { 200: z.object({ link: z.string() }), ...PROBLEMS },
      },
    },
    async ({ params, principal }) => ({ link: await linkFor(context, params.user, principal.by) }),
  );

  app.delete(
    '/users/:user',
    {
      config: write,
      schema: {
        tags,
        summary: "Takes a person's access away: sessions and keys end at once",
        params,
        response: { 204: Nothing, ...PROBLEMS },
      },
    },
    async ({ params, principal }, reply) => {
      await revokeUser(context, params.user, principal.by);
      return reply.code(204).send();
    },
  );
}

async function userOf({ store }: HttpContext, login: string): Promise<UserDoc> {
  const user = await readUser(store, login);
  if (user) return user;
  throw new NotFound(`There is no user ${login}; nothing was changed.`);
}

export function keyRoutes(app: App, context: HttpContext): void {
  const tags = ['keys'];

  app.get(
    '/keys',
    {
      config: read,
      schema: { tags, summary: 'API keys', querystring: Paging, response: { 200: pageOf(Key), ...PROBLEMS } },
    },
    async ({ query }) => pageIn((await listKeys(context.store)).map(viewKey), query, ({ name }) => name),
  );

  app.post(
    '/keys',
    {
      config: secret,
      schema: {
        tags,
        summary: 'Makes an API key, which is shown once',
        body: NewKeyShape,
        response: { 201: KeyWithToken, ...PROBLEMS },
      },
    },
    async ({ body: { name, role, user, scopes, expiresAt }, principal }, reply) => {
      const { key, token } = await addKey(context, {
        name,
        scopes,
        ...(role && { role }),
        ...(user && { user }),
        ...(expiresAt && { expiresAt: new Date(expiresAt) }),
        by: principal.by,
      });
      return reply.code(201).send({ ...viewKey(key), token });
    },
  );

  const params = z.object({ key: z.string().max(200) });
  app.patch(
    '/keys/:key',
    {
      config: write,
      schema: {
        tags,
        summary: 'Changes what an API key may do, and until when',
        params,
        body: KeyEditShape,
        response: { 200: Key, ...PROBLEMS },
      },
    },
    async ({ params, body: { scopes, expiresAt }, principal }) => {
      const until = typeof expiresAt === 'string' ? new Date(expiresAt) : expiresAt;
      const set = { ...(scopes && { scopes }), ...(until !== undefined && { expiresAt: until }) };
      return viewKey(await editKey(context, params.key, set, principal.by));
    },
  );

  app.delete(
    '/keys/:key',
    {
      config: write,
      schema: {
        tags,
        summary: 'Ends an API key',
        params,
        response: { 204: Nothing, ...PROBLEMS },
      },
    },
    async ({ params, principal }, reply) => {
      await revokeKey(context, params.key, principal.by);
      return reply.code(204).send();
    },
  );
}
