import { realpath } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { z } from 'zod';
import { NotFound, UsageError } from '../../domain/errors.ts';
import { locate } from '../../feed/sources/file.ts';
import { deleteFeed } from '../../run/deleteFeed.ts';
import { enqueueImport } from '../../run/enqueue.ts';
import { releaseFeed } from '../../run/releaseFeed.ts';
import { reportOf } from '../../run/report.ts';
import { requestRun } from '../../run/request.ts';
import { sampleFeed } from '../../run/views/feedSample.ts';
import { viewFeeds, viewFeedText } from '../../run/views/feedView.ts';
import { type FeedSettings, readFeedFile } from '../../settings/feed.ts';
import { nameIn, REDACTED, withSecrets } from '../../settings/redact.ts';
import { readFeedDoc, saveFeed, settingsOf } from '../../store/feeds.ts';
import type { FeedDoc } from '../../store/models.ts';
import type { App } from '../app.ts';
import type { HttpContext } from '../context.ts';
import { Paging, pageIn, pageOf } from '../cursors.ts';
import { contentMatch, tagContent } from '../etags.ts';
import { may, OPERATORS } from '../principal.ts';
import { HttpProblem, pointerOf } from '../problems.ts';
import { Nothing, PROBLEMS } from '../shapes/common.ts';
import { Feed, FeedCheck, FeedSampleShape, FeedText, FeedWithText, RunStart } from '../shapes/feeds.ts';
import { RunReport } from '../shapes/runs.ts';
import { receiveUpload } from '../uploads.ts';

const tags = ['feeds'];
const params = z.object({ feed: z.string().max(200) });
const read = may('read', 'feeds', OPERATORS);
const write = may('write', 'feeds', OPERATORS);

export function feedRoutes(app: App, context: HttpContext): void {
  const { store } = context;

  app.get(
    '/feeds',
    {
      config: read,
      schema: { tags, summary: 'The feeds', querystring: Paging, response: { 200: pageOf(Feed), ...PROBLEMS } },
    },
    async ({ query }) => pageIn(await viewFeeds(context), query, ({ name }) => name),
  );

  app.get(
    '/feeds/:feed',
    {
      config: read,
      schema: { tags, summary: 'A feed and its settings', params, response: { 200: FeedWithText, ...PROBLEMS } },
    },
    async ({ params }, reply) => {
      const view = await viewFeedText(context, await feedOf(context, params.feed));
      tagContent(reply, view.text);
      return view;
    },
  );

  app.post(
    '/feeds/check',
    {
      config: read,
      schema: {
        tags,
        summary: 'Says whether a feed file can be used, without saving it',
        body: FeedText,
        response: { 200: FeedCheck, ...PROBLEMS },
      },
    },
    async ({ body }) => {
      const name = nameIn(body.text);
      const stored = name === undefined ? null : await readFeedDoc(store, name);
      const settings = readFeedFile(withSecrets(body.text, stored?.text), 'feed');
      await refuseOutside(context, settings);
      const { notify } = settings;
      const shown = notify?.secret === undefined ? {} : { notify: { ...notify, secret: REDACTED } };
      return { name: settings.name, valid: true as const, settings: { ...settings, ...shown } };
    },
  );

  app.put(
    '/feeds/:feed',
    {
      config: { ...write, refusal: 422 },
      schema: {
        tags,
        summary: 'Creates a feed or changes its settings',
        params,
        body: FeedText,
        response: { 200: FeedWithText, 201: FeedWithText, ...PROBLEMS },
      },
    },
    async (request, reply) => {
      const { params, body } = request;
      const stored = await readFeedDoc(store, params.feed);
      const text = withSecrets(body.text, stored?.text);
      const settings = readFeedFile(text, 'feed');
      if (settings.name !== params.feed) {
        throw new UsageError(
          `The feed names itself ${settings.name}, and the address ${params.feed}; nothing was changed. Make them agree.`,
        );
      }
      await refuseOutside(context, settings);
      if (stored?.origin === 'file') {
        throw new HttpProblem(
          409,
          'read-only',
          `Feed ${settings.name} is a file of config/feeds and is changed there alone; nothing was changed.`,
        );
      }
      const isAsRead = contentMatch(request, stored && (await viewFeedText(context, stored)).text);
      const created = await saveFeed(store, text, settings, 'database', isAsRead ? stored?.text : undefined);
      const view = await viewFeedText(context, await feedOf(context, settings.name));
      tagContent(reply, view.text);
      return reply.code(created ? 201 : 200).send(view);
    },
  );

  app.delete(
    '/feeds/:feed',
    {
      config: { ...write, refusal: 409 },
      schema: {
        tags,
        summary: 'Deletes a feed that holds nothing any more',
        params,
        response: { 204: Nothing, ...PROBLEMS },
      },
    },
    async ({ params }, reply) => {
      await deleteFeed(context, await feedOf(context, params.feed));
      return reply.code(204).send();
    },
  );

  app.post(
    '/feeds/:feed/release',
    {
      config: { ...write, refusal: 409 },
      schema: {
        tags,
        summary: 'Lets a feed in quarantine run by itself again',
        params,
        response: { 200: FeedWithText, ...PROBLEMS },
      },
    },
    async ({ params, principal }) => {
      const doc = await releaseFeed(context, await feedOf(context, params.feed), principal.by);
      return viewFeedText(context, doc);
    },
  );

  app.get(
    '/feeds/:feed/sample',
    {
      config: read,
      schema: {
        tags,
        summary: "The first rows of the feed's own source, and how each is understood",
        params,
        querystring: z.strictObject({ rows: z.coerce.number().int().min(1).max(100).default(5) }),
        response: { 200: FeedSampleShape, ...PROBLEMS },
      },
    },
    async ({ params, query }) => {
      const doc = await feedOf(context, params.feed);
      const settings = settingsOf(doc);
      if (doc.origin !== 'file') await refuseOutside(context, settings);
      return sampleFeed(context, settings, await locate(settings.source, context.base), query.rows);
    },
  );

  app.post(
    '/feeds/:feed/runs',
    {
      config: may('write', 'runs', OPERATORS),
      schema: {
        tags,
        summary: 'Starts a run',
        description:
          "With a file (multipart/form-data: one part with a file name, and before it the fields `preview` and `approve` as `true` where wanted), or from the feed's own source (JSON: `{ preview, approve }`, or no body).",
        consumes: ['multipart/form-data', 'application/json'],
        params,
        response: { 202: RunReport, ...PROBLEMS },
      },
    },
    async (request, reply) => {
      const feed = await feedOf(context, request.params.feed);
      const settings = settingsOf(feed);
      const upload = request.isMultipart() ? await receiveUpload(request, context) : undefined;
      const start = async () => {
        const { preview, approve } = startOf(upload?.fields, request.body);
        const asked = { feed: feed._id, mode: settings.mode, preview, approve, by: request.principal.by };
        if (!upload) {
          if (feed.origin !== 'file') await refuseOutside(context, settings);
          await locate(settings.source, context.base);
          return requestRun(context, asked);
        }
        const { name, path, bytes } = upload.file;
        return requestRun(context, { ...asked, source: { name, path, bytes, temporary: true, shared: true } });
      };
      // What is refused leaves no file behind.
      const run = await start().catch(async (error) => {
        await upload?.file.dispose();
        throw error;
      });
      // Where Redis cannot be reached the workers' sweep finds the run.
      await enqueueImport(context.queues, run).catch(() => undefined);
      reply.code(202).header('location', `/api/v1/runs/${run._id}`);
      return reportOf(store, run);
    },
  );
}

/** Fields of a form are texts. What is neither is refused: a `preview=yes` that counted as no would change facts. */
const FLAGS: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['false', false],
]);

function startOf(fields: Readonly<Record<string, string>> | undefined, body: unknown): z.output<typeof RunStart> {
  const given = fields
    ? Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, FLAGS.get(value) ?? value]))
    : (body ?? {});
  const parsed = RunStart.safeParse(given);
  if (parsed.success) return parsed.data;
  const errors = parsed.error.issues.map(({ path, message }) => ({ pointer: pointerOf(path), detail: message }));
  throw new HttpProblem(
    400,
    'invalid',
    'A run is started with `preview` and `approve` (true or false), and with nothing else. Nothing was run.',
    { errors },
  );
}

async function feedOf({ store }: HttpContext, name: string): Promise<FeedDoc> {
  const doc = await readFeedDoc(store, name);
  if (!doc) throw new NotFound(`There is no feed ${name}.`);
  return doc;
}

/**
 * Feeds made by the API read files below the working directory (none whose path has a part that begins with a dot, nor what
 * Muster has there itself) or below MUSTER_DATA/inbox, links followed: who may make feeds may not read all of the disk with them.
 */
async function refuseOutside({ base, uploads }: HttpContext, { source }: FeedSettings): Promise<void> {
  if (source.kind !== 'file' && source.kind !== 'directory') return;
  const path = resolve(base, source.path);
  const data = resolve(uploads, '..');
  const inbox = join(data, 'inbox');
  const mayRead = (one: string, [top, its, own, inOwn]: readonly string[]) =>
    isBelow(inOwn as string, one) ||
    (isBelow(top as string, one) && ![its, own].some((root) => one === root || isBelow(root as string, one)));
  const places = [base, join(base, 'config'), data, inbox];
  const [realPath, ...realPlaces] = await Promise.all([path, ...places].map(followed));
  if (mayRead(path, places) && mayRead(realPath as string, realPlaces)) return;
  throw new UsageError(
    `The feed's source ${source.path} lies outside of the directories that feeds of the API may read; nothing was changed. Put the files below the working directory (but not below config, nor where MUSTER_DATA lies) or below MUSTER_DATA/inbox, or the feed into config/feeds.`,
  );
}

/** Does it lie below, and no part of the way there begin with a dot? */
function isBelow(root: string, path: string): boolean {
  const rest = relative(root, path);
  return rest !== '' && !isAbsolute(rest) && !rest.split(sep).some((part) => part.startsWith('.'));
}

/** The path with links followed, as far as it exists. */
async function followed(path: string): Promise<string> {
  const above = dirname(path);
  return realpath(path).catch(async () => (above === path ? path : join(await followed(above), basename(path))));
}
