import { Readable } from 'node:stream';
import { z } from 'zod';
import { UsageError } from '../../domain/errors.ts';
import { seesAll } from '../../domain/role.ts';
import { fileName, TYPES, written } from '../../run/reports/formats.ts';
import { runReport } from '../../run/reports/rows.ts';
import { mayChange, refuseBeyond, reportFor, reportsFor, viewReport } from '../../run/reports/saved.ts';
import { askToSend } from '../../run/reports/send.ts';
import { REPORT_FORMATS, ReportShape } from '../../settings/report.ts';
import { COLUMNS, SUBJECTS } from '../../settings/reportColumns.ts';
import type { ReportDoc } from '../../store/models.ts';
import { addReport, changeReport, deleteReport } from '../../store/reports.ts';
import type { App } from '../app.ts';
import type { HttpContext } from '../context.ts';
import { Paging, pageIn, pageOf } from '../cursors.ts';
import { reportMatch, tagReport } from '../etags.ts';
import { may, type Principal, TEACHERS } from '../principal.ts';
import { HttpProblem } from '../problems.ts';
import { Nothing, PROBLEMS, Reference } from '../shapes/common.ts';
import { Report, ReportPreview, ReportSending, Subjects } from '../shapes/reports.ts';
import { groupIn, sightOf } from '../sight.ts';

const tags = ['reports'];
const params = z.object({ report: z.string().max(100) });
const read = may('read', 'reports', TEACHERS);
const write = may('write', 'reports', TEACHERS);
/** Rows of a preview. */
const FEW = 20;
const text = { schema: z.string() };

export function reportRoutes(app: App, context: HttpContext): void {
  const { store } = context;

  app.get(
    '/reports',
    {
      config: read,
      schema: {
        tags,
        summary: 'The saved reports',
        querystring: Paging,
        response: { 200: pageOf(Report), ...PROBLEMS },
      },
    },
    async ({ query, principal }) => {
      const page = pageIn(await reportsFor(store, principal), query, ({ name, _id }) => `${name} ${_id}`);
      return { ...page, items: await Promise.all(page.items.map((report) => viewReport(context, report, principal))) };
    },
  );

  app.get(
    '/reports/columns',
    {
      config: read,
      schema: {
        tags,
        summary: 'What reports may be about, and the columns of each',
        response: { 200: Subjects, ...PROBLEMS },
      },
    },
    async ({ principal }) =>
      SUBJECTS.filter((what) => what !== 'runs' || seesAll(principal.role)).map((what) => ({
        what,
        columns: Object.entries(COLUMNS[what]).map(([name, { title, type }]) => ({ name, title, type })),
      })),
  );

  app.post(
    '/reports/preview',
    {
      config: { ...read, refusal: 422 },
      schema: {
        tags,
        summary: `The first ${FEW} rows of a report that need not be saved`,
        body: ReportShape,
        response: { 200: ReportPreview, ...PROBLEMS },
      },
    },
    async ({ body, principal }) => {
      const sight = await sightOf(context, principal);
      refuseBeyond(body, principal, sight);
      const { columns, rows } = runReport(context, body, sight, { limit: FEW });
      const first = [];
      for await (const row of rows) first.push(row.map((cell) => (cell instanceof Date ? cell.toISOString() : cell)));
      return { columns, rows: first };
    },
  );

  app.post(
    '/reports',
    {
      config: { ...write, refusal: 422 },
      schema: { tags, summary: 'Saves a report', body: ReportShape, response: { 201: Report, ...PROBLEMS } },
    },
    async ({ body, principal }, reply) => {
      refuseBeyond(body, principal, await sightOf(context, principal));
      const { owner, by } = principal;
      const report = await addReport(context, { settings: body, owner, by, origin: 'database' });
      tagReport(reply, report);
      reply.code(201).header('location', `/api/v1/reports/${report._id}`);
      return viewReport(context, report, principal);
    },
  );

  app.get(
    '/reports/:report',
    {
      config: read,
      schema: { tags, summary: 'A report and its settings', params, response: { 200: Report, ...PROBLEMS } },
    },
    async ({ params, principal }, reply) => {
      const report = await reportFor(store, principal, params.report);
      if (mayChange(report, principal)) tagReport(reply, report);
      return viewReport(context, report, principal);
    },
  );

  app.put(
    '/reports/:report',
    {
      config: { ...write, refusal: 422 },
      schema: {
        tags,
        summary: 'Changes a report',
        params,
        body: ReportShape,
        response: { 200: Report, ...PROBLEMS },
      },
    },
    async (request, reply) => {
      const { params, body, principal } = request;
      const report = changeable(await reportFor(store, principal, params.report), principal);
      reportMatch(request, report);
      refuseBeyond(body, principal, await sightOf(context, principal));
      const changed = await changeReport(context, report, body, principal.by);
      tagReport(reply, changed);
      return viewReport(context, changed, principal);
    },
  );

  app.delete(
    '/reports/:report',
    {
      config: write,
      schema: { tags, summary: 'Deletes a report', params, response: { 204: Nothing, ...PROBLEMS } },
    },
    async (request, reply) => {
      const { params, principal } = request;
      const report = changeable(await reportFor(store, principal, params.report), principal);
      reportMatch(request, report);
      await deleteReport(context, report, principal.by);
      return reply.code(204).send();
    },
  );

  app.get(
    '/reports/:report/rows',
    {
      exposeHeadRoute: false,
      config: read,
      schema: {
        tags,
        summary: 'Runs a report, and streams its rows',
        params,
        querystring: z.strictObject({
          format: z.enum(REPORT_FORMATS).default('csv'),
          group: Reference.optional().meta({ description: 'Only learners in this group, and in those below' }),
        }),
        response: {
          200: {
            description: 'The rows',
            content: { 'text/csv': text, [TYPES.xlsx]: text, [TYPES.json]: { schema: z.array(z.unknown()) } },
          },
          ...PROBLEMS,
        },
      },
    },
    async ({ params, query: { format, group }, principal }, reply) => {
      const report = await reportFor(store, principal, params.report);
      const sight = await sightOf(context, principal);
      const within = group === undefined ? {} : { within: groupIn(sight, group).id };
      const chunks = written(runReport(context, report.settings, sight, within), format);
      const name = encodeURIComponent(fileName(report, format));
      reply.type(TYPES[format]).header('content-disposition', `attachment; filename*=UTF-8''${name}`);
      return reply.send(Readable.from(chunks) as never);
    },
  );

  app.post(
    '/reports/:report/send',
    {
      config: { ...write, refusal: 409 },
      schema: {
        tags,
        summary: 'Sends a report now to the addresses that it names',
        params,
        response: { 202: ReportSending, ...PROBLEMS },
      },
    },
    async ({ params, principal }, reply) => {
      const report = mine(await reportFor(store, principal, params.report), principal);
      if (!report.settings.send)
        throw new UsageError('The report names nobody to send it to; nothing was sent. Give it `send`.');
      const due = context.clock.now();
      await askToSend(context, report, due, principal.by);
      return reply.code(202).send({ report: report._id, due });
    },
  );
}

/** Others who see a report run it alone. */
function mine(report: ReportDoc, principal: Principal): ReportDoc {
  if (mayChange(report, principal)) return report;
  throw new HttpProblem(403, 'not-yours', 'The report is shared with you to be run; nothing was changed.');
}

function changeable(report: ReportDoc, principal: Principal): ReportDoc {
  if (mine(report, principal).origin !== 'file') return report;
  throw new HttpProblem(
    409,
    'read-only',
    `Report ${report.name} is a file of config/reports and is changed there alone; nothing was changed.`,
  );
}
