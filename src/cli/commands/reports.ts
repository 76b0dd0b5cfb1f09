import { createWriteStream } from 'node:fs';
import { resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Argument, type Command, Option } from 'commander';
import { stringify } from 'yaml';
import { NotFound, UsageError } from '../../domain/errors.ts';
import { written } from '../../run/reports/formats.ts';
import { runReport } from '../../run/reports/rows.ts';
import { atTheMachine, type ReportView, refuseBeyond, viewReport } from '../../run/reports/saved.ts';
import { askToSend } from '../../run/reports/send.ts';
import { sightOf } from '../../run/sight.ts';
import { nearest } from '../../settings/nearest.ts';
import { REPORT_FORMATS, type ReportFormat, readReportFile } from '../../settings/report.ts';
import { COLUMNS, FIGURES, OF_ROWS, SUBJECTS, type Subject } from '../../settings/reportColumns.ts';
import type { ReportDoc } from '../../store/models.ts';
import { addReport, changeReport, deleteReport } from '../../store/reports.ts';
import type { Store } from '../../store/store.ts';
import { checkFile } from '../checkFile.ts';
import type { Cli } from '../cli.ts';
import { type JsonOption, printsFacts } from '../options.ts';
import { readText } from '../readText.ts';
import { groupOf } from '../references.ts';
import { facts, table } from '../table.ts';

const FILE_HELP = `
A report file (docs/reports.md):
  name: Unfinished by group
  what: subscriptions                          # ${SUBJECTS.join(', ')}
  columns: [groupName, courseName, lastName]   # \`muster reports columns\` lists them
  order: [groupName, -completion]              # -: largest first
  filter: { groups: [sector-a], completion: { below: 100 } }`;

export function addReports(program: Command, cli: Cli): void {
  const reports = program
    .command('reports')
    .description('lists of learners, subscriptions, progress, memberships or runs: saved, run, sent');

  printsFacts(
    reports
      .command('list')
      .description('lists the saved reports')
      .action(async ({ json }: JsonOption) => {
        const { services, store } = await cli.open();
        const docs = await store.reports.find().sort({ name: 1, _id: 1 }).toArray();
        const views = await Promise.all(docs.map((doc) => viewReport(services, doc, atTheMachine(cli.by))));
        cli.out.show(json, views, () => listText(views));
      }),
    'muster reports list',
  );
  printsFacts(
    reports
      .command('show <report>')
      .description('shows a report and its settings')
      .action(async (text: string, { json }: JsonOption) => {
        const { services, store } = await cli.open();
        const view = await viewReport(services, await reportOf(store, text), atTheMachine(cli.by));
        cli.out.show(json, view, () => `${factsOf(view)}\n\n${stringify(view.settings)}`);
      }),
    'muster reports show "Unfinished by group"',
  );
  printsFacts(
    reports
      .command('columns')
      .description('lists the columns that reports about something may have')
      .addArgument(new Argument('[what]', 'of these reports alone').choices(SUBJECTS))
      .action((what: Subject | undefined, { json }: JsonOption) => {
        const columns = columnsOf(what ? [what] : SUBJECTS);
        cli.out.show(json, columns, () => columnsText(columns));
      }),
    'muster reports columns subscriptions',
  );
  printsFacts(
    reports
      .command('check <file>')
      .description('says whether a report file can be used, without saving it')
      .addHelpText('after', FILE_HELP)
      .action((path: string, { json }: JsonOption) => checkFile(cli, { path, json, noun: 'report' }, readReportFile)),
    'muster reports check unfinished.yaml',
  );
  printsFacts(
    reports
      .command('apply <file>')
      .description('creates the report that a YAML or JSON file describes, or changes the one of that name')
      .addHelpText('after', FILE_HELP)
      .action((path: string, { json }: JsonOption) => apply(cli, path, json)),
    'muster reports apply unfinished.yaml',
  );
  printsFacts(
    reports
      .command('run <report>')
      .description('runs a report, and writes its rows to standard output or a file')
      .option('--group <group>', 'only learners in this group, and in those below')
      .addOption(new Option('--format <format>', 'what to write').choices([...REPORT_FORMATS]).default('csv'))
      .option('--output <file>', 'writes this file in place of standard output')
      .action((text: string, options: RunOptions) => run(cli, text, options)),
    'muster reports run "Unfinished by group" --group sector-a --format xlsx --output unfinished.xlsx',
    'muster reports run "Expired this month" > expired.csv',
  );
  printsFacts(
    reports
      .command('send <report>')
      .description('sends a report now to the addresses that it names; a worker does it')
      .action((text: string, { json }: JsonOption) => send(cli, text, json)),
    'muster reports send "Expired this month"',
  );
  printsFacts(
    reports
      .command('delete <report>')
      .description('deletes a report')
      .action(async (text: string, { json }: JsonOption) => {
        const { services, store } = await cli.open();
        const report = changeable(await reportOf(store, text));
        await deleteReport(services, report, cli.by);
        cli.out.show(json, { report: report._id, deleted: true }, () => `Report ${report.name} was deleted.`);
      }),
    'muster reports delete "Unfinished by group"',
  );
}

/** A report by its id, or its name where one alone has it. */
async function reportOf(store: Store, text: string): Promise<ReportDoc> {
  const found = await store.reports.find({ $or: [{ _id: text }, { name: text }] }).toArray();
  const [only] = found;
  if (only && found.length === 1) return only;
  if (found.length > 1) {
    const ids = found.map(({ _id, owner }) => `${_id} (${owner})`).join(', ');
    throw new UsageError(
      `${found.length} reports are named ${text}: ${ids}. Nothing was done. Name the one you mean by its id.`,
    );
  }
  const names = await store.reports.distinct('name');
  const meant = nearest(text, names.map(String));
  throw new NotFound(
    `There is no report ${text}. ${meant ? `Is ${meant} meant?` : 'Make it with `muster reports apply FILE.yaml`.'}`,
  );
}

function changeable(report: ReportDoc): ReportDoc {
  if (report.origin !== 'file') return report;
  throw new UsageError(
    `Report ${report.name} is a file of config/reports and is changed there alone; nothing was changed. Edit that file, or give this one another name.`,
  );
}

async function apply(cli: Cli, path: string, json: boolean | undefined): Promise<void> {
  const settings = readReportFile(readText(resolve(cli.directory, path)), path);
  const { services, store } = await cli.open();
  const viewer = atTheMachine(cli.by);
  refuseBeyond(settings, viewer, await sightOf(services, viewer));
  const found = await store.reports.countDocuments({ name: settings.name });
  const report =
    found === 0
      ? await addReport(services, { settings, owner: cli.by, origin: 'database', by: cli.by })
      : await changeReport(services, changeable(await reportOf(store, settings.name)), settings, cli.by);
  const view = await viewReport(services, report, viewer);
  const done = found === 0 ? 'was created' : 'was changed';
  cli.out.show(
    json,
    { ...view, created: found === 0 },
    () => `Report ${settings.name} ${done}. Run it: muster reports run "${settings.name}"`,
  );
}

interface RunOptions extends JsonOption {
  readonly group?: string;
  readonly format: ReportFormat;
  readonly output?: string;
}

async function run(cli: Cli, text: string, { json, group, format: asked, output }: RunOptions): Promise<void> {
  const format = json ? 'json' : asked;
  if (format === 'xlsx' && output === undefined && cli.out.streams.stdout.isTTY)
    throw new UsageError(
      'A workbook is nothing to be read on a terminal; nothing was run. Name a file: --output FILE.',
    );
  const { services, store } = await cli.open();
  const report = await reportOf(store, text);
  const within = group === undefined ? undefined : (await groupOf(store, group)).id;
  const sight = await sightOf(services, atTheMachine(cli.by));
  const rows = runReport(services, report.settings, sight, within === undefined ? {} : { within });
  const chunks = written(rows, format);
  if (output === undefined) for await (const chunk of chunks) await cli.out.write(chunk);
  else {
    const path = resolve(cli.directory, output);
    await pipeline(Readable.from(chunks), createWriteStream(path));
    cli.out.say(`${output} was written.`);
  }
}

async function send(cli: Cli, text: string, json: boolean | undefined): Promise<void> {
  const { services, store } = await cli.open();
  const report = await reportOf(store, text);
  const { send: to } = report.settings;
  if (!to)
    throw new UsageError(`Report ${report.name} names nobody to send it to; nothing was sent. Give it \`send.to\`.`);
  const due = services.clock.now();
  await askToSend(services, report, due, cli.by);
  cli.out.show(
    json,
    { report: report._id, due, to: to.to },
    () => `Report ${report.name} waits for a worker, which sends it to ${to.to.join(', ')}.`,
  );
}

function listText(views: readonly ReportView[]): string {
  if (views.length === 0) return 'No report yet. Make one: muster reports apply FILE.yaml';
  return table(
    ['report', 'what', 'id', 'owner', 'shared with', 'schedule', 'next due', 'last sent'],
    views.map(({ report, name, what, owner, settings, nextDue, lastSending }) => [
      name,
      what,
      report,
      owner ?? '',
      settings?.sharedWith.join(', ') ?? '',
      settings?.schedule.cron ?? 'by hand',
      nextDue?.toISOString() ?? '',
      lastSending ? `${lastSending.due.toISOString()} ${lastSending.state}` : '',
    ]),
  );
}

function factsOf({ report, name, origin, owner, nextDue, lastSending }: ReportView): string {
  return facts([
    ['report', name],
    ['id', report],
    ['from', origin === 'file' ? 'config/reports (read-only here)' : `${owner}`],
    ['next due', nextDue?.toISOString()],
    ['last sent', lastSending ? `${lastSending.due.toISOString()}, ${lastSending.state}` : ''],
    ['error', lastSending?.error],
  ]);
}

interface ColumnLine {
  readonly what: Subject;
  readonly column: string;
  readonly title: string;
  readonly type: string;
}

function columnsOf(subjects: readonly Subject[]): ColumnLine[] {
  return subjects.flatMap((what) => [
    ...Object.entries(COLUMNS[what]).map(([column, { title, type }]) => ({ what, column, title, type })),
    ...(what === 'runs' ? [] : [{ what, column: 'attributes.NAME', title: 'NAME', type: 'text' }]),
  ]);
}

function columnsText(columns: readonly ColumnLine[]): string {
  const lines = table(
    ['about', 'column', 'title', 'type'],
    columns.map(({ what, column, title, type }) => [what, column, title, type]),
  );
  return `${lines}\n\nFigures of a summary: ${OF_ROWS.join(', ')}; ${FIGURES.filter((one) => !OF_ROWS.includes(one)).join(', ')} of a number, such as \`average completion\`.`;
}
