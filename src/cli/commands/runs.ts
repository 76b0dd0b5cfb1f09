import { type Command, InvalidArgumentError, Option } from 'commander';
import { UsageError } from '../../domain/errors.ts';
import type { PlanPart } from '../../domain/planPart.ts';
import { RUN_STATES, type RunState } from '../../domain/run.ts';
import { approveOrPlanAgain, cancelRun, rejectRun } from '../../run/approval.ts';
import { type ChangeView, changesOf, type WindowView } from '../../run/views/changesView.ts';
import { refuseForgotten, rejectedFile, rejectedRows } from '../../run/views/rejectedView.ts';
import { runSummary } from '../../run/views/runView.ts';
import { latestRuns } from '../../store/runs.ts';
import type { Store } from '../../store/store.ts';
import type { Cli } from '../cli.ts';
import { driveOn, showReport, showRun } from '../driving.ts';
import { type JsonOption, printsFacts, wholeNumber } from '../options.ts';
import { feedOf, learnersOf, runOf } from '../references.ts';
import { printable, table } from '../table.ts';
import { addUndo } from './undo.ts';

export function addRuns(program: Command, cli: Cli): void {
  const runs = program.command('runs').description('what was imported and changed: reports, held plans, rejected rows');

  printsFacts(
    runs
      .command('list')
      .description('lists the latest runs')
      .option('--feed <name>', 'of this feed alone')
      .addOption(new Option('--state <state>', 'in this state alone').choices(RUN_STATES))
      .option('--limit <number>', 'at most so many', wholeNumber, 20)
      .action((options: ListOptions) => list(cli, options)),
    'muster runs list --feed hr',
    'muster runs list --state held',
  );
  printsFacts(
    runs
      .command('show <run>')
      .description('prints the report of a run')
      .action(async (id: string, { json }: JsonOption) => {
        await showReport(cli, await runOf((await cli.open()).store, id), json);
      }),
    'muster runs show r1',
  );
  printsFacts(
    runs
      .command('changes <run>')
      .description("lists each learner's before and after")
      .action((id: string, { json }: JsonOption) => changes(cli, id, json)),
    'muster runs changes r1',
  );
  printsFacts(
    runs
      .command('rejected <run>')
      .description(
        'prints the rejected rows as the file had them, with row number and reason, to be mended and fed in again',
      )
      .action((id: string, { json }: JsonOption) => rejected(cli, id, json)),
    'muster runs rejected r1 > rejected.csv',
  );
  printsFacts(
    runs
      .command('approve <run>')
      .description('applies a held plan, waits for its end, and prints the report')
      .option(
        '--without-removals',
        'leave out what takes something away; the next run of a full feed looks at it again',
      )
      .option('--only <rows>', 'only what these rows of the file say: 17,20-25', rowNumbers)
      .option('--except <learner...>', 'leave these learners out; the next run of a full feed looks at them again')
      .option('--strict', 'exit code 4 where rows were rejected')
      .action((id: string, options: ApproveOptions) => approve(cli, id, options)),
    'muster runs approve r1',
    'muster runs approve r1 --without-removals',
  );
  printsFacts(
    runs
      .command('reject <run>')
      .description('drops a held plan; nothing of it is applied')
      .option('--reason <text>', 'why, for the history')
      .action(async (id: string, { json, reason }: JsonOption & { reason?: string }) => {
        const { services, store } = await cli.open();
        const run = await rejectRun(services, (await runOf(store, id))._id, cli.by, reason);
        await showReport(cli, run, json);
      }),
    'muster runs reject r1 --reason "half the file was missing"',
  );
  printsFacts(
    runs
      .command('cancel <run>')
      .description('ends a run that has not begun to be applied')
      .action(async (id: string, { json }: JsonOption) => {
        const { services, store } = await cli.open();
        await showReport(cli, await cancelRun(services, (await runOf(store, id))._id, cli.by), json);
      }),
    'muster runs cancel r1',
  );
  addUndo(runs, cli);
}

interface ListOptions extends JsonOption {
  readonly feed?: string;
  readonly state?: RunState;
  readonly limit: number;
}

async function list(cli: Cli, { json, feed, state, limit }: ListOptions): Promise<void> {
  const { store } = await cli.open();
  if (feed !== undefined) await feedOf(store, feed);
  const which = { limit, ...(feed !== undefined && { feed }), ...(state && { state }) };
  const found = (await latestRuns(store, which)).map(runSummary);
  cli.out.show(json, found, () =>
    found.length === 0
      ? `No run${state ? ` is ${state}` : ' yet'}.`
      : table(
          ['run', 'what', 'state', 'added', 'removed', 'rejected', 'by', 'when'],
          found.map((run) => [
            run.run,
            run.kind === 'feed' ? `feed ${run.feed}` : run.what,
            run.preview ? 'preview' : run.noChange && run.state === 'completed' ? 'no change' : run.state,
            run.memberships.added,
            run.memberships.removed,
            run.rejected,
            run.by,
            run.createdAt.toISOString(),
          ]),
        ),
  );
}

async function changes(cli: Cli, id: string, json: boolean | undefined): Promise<void> {
  const { services, store } = await cli.open();
  const found = changesOf(services, await runOf(store, id));
  if (json) return cli.out.list(json, found, () => '');
  let none = true;
  for await (const change of found) {
    await cli.out.write(`${changeLines(change).map(printable).join('\n')}\n`);
    none = false;
  }
  if (none) cli.out.say(`Run ${id} changes no learner.`);
}

function changeLines(change: ChangeView): string[] {
  const { id, externalId, created, fields, memberships, subscriptions, rows, restored, overtaken } = change;
  const where = rows.length > 0 ? `  (row ${rows.join(', ')})` : '';
  return [
    `${externalId ?? id}${created ? '  new' : ''}${where}`,
    ...fields.map(({ field, before, after }) => `  ${field}: ${before ?? 'none'} → ${after ?? 'none'}`),
    ...memberships.map((one) => `  ${membershipLine(one)}`),
    ...subscriptions.map((one) => `  ${subscriptionLine(one)}`),
    ...restored.map((line) => `  ${line}`),
    ...overtaken.map((line) => `  stays as it is, ${line}`),
  ];
}

/** `safety: expired`. */
export function subscriptionLine({ course, event, through }: ChangeView['subscriptions'][number]): string {
  return through.length > 0 ? `${course}: ${event}, ${through.join(', ')} still gives it` : `${course}: ${event}`;
}

/** `+ sector-a (hr)`. */
export function membershipLine({ group, source, before, after, courses }: ChangeView['memberships'][number]): string {
  if (before.length === 0) return `+ ${group}${windowsText(after)} (${source})`;
  if (after.length === 0) return `- ${group} (${source}), courses: ${courses ?? 'expire'}`;
  return `~ ${group}${windowsText(before)} →${windowsText(after)} (${source})`;
}

function windowsText(windows: readonly WindowView[]): string {
  const parts = windows.map(({ validFrom, validUntil }) => {
    if (!validFrom && !validUntil) return ' always';
    return `${validFrom ? ` from ${validFrom.toISOString()}` : ''}${validUntil ? ` until ${validUntil.toISOString()}` : ''}`;
  });
  const text = parts.join(' and');
  return text === ' always' ? '' : text;
}

async function rejected(cli: Cli, id: string, json: boolean | undefined): Promise<void> {
  const { services, store } = await cli.open();
  const run = await runOf(store, id);
  refuseForgotten(run);
  if (json) {
    const rows = rejectedRows(services, run);
    return cli.out.list(json, withoutBytes(rows), () => '');
  }
  let none = true;
  for await (const bytes of rejectedFile(services, run)) {
    await cli.out.write(bytes);
    none = false;
  }
  if (none) cli.out.say(`Run ${id} has read no file.`);
}

async function* withoutBytes(rows: ReturnType<typeof rejectedRows>) {
  for await (const { row, code, message } of rows) yield { row, code, message };
}

interface ApproveOptions extends JsonOption {
  readonly withoutRemovals?: boolean;
  readonly only?: ReadonlySet<number>;
  readonly except?: readonly string[];
  readonly strict?: boolean;
}

async function approve(cli: Cli, id: string, options: ApproveOptions): Promise<void> {
  const { services, store } = await cli.open();
  const { _id } = await runOf(store, id);
  const part = await partOf(store, options);
  const approved = await approveOrPlanAgain(services, _id, cli.by, part);
  if (approved._id !== _id)
    cli.out.say(`What run ${id} was planned from has changed since; it is planned again as run ${approved._id}.`);
  await showRun(cli, await driveOn(cli, approved), options);
}

async function partOf(store: Store, { withoutRemovals, only, except }: ApproveOptions): Promise<PlanPart | undefined> {
  if (Number(withoutRemovals === true) + Number(only !== undefined) + Number(except !== undefined) > 1) {
    throw new UsageError('Give one of --without-removals, --only and --except; nothing was changed.');
  }
  if (withoutRemovals) return { kind: 'without-removals' };
  if (only) return { kind: 'only', rows: only };
  if (!except) return undefined;
  return { kind: 'except', learners: new Set((await learnersOf(store, except)).map((learner) => learner.id)) };
}

/** `17,20-25` → 17, 20, 21 … 25. */
function rowNumbers(text: string): ReadonlySet<number> {
  const rows = new Set<number>();
  for (const part of text.split(',')) {
    const [, from, to = from] = /^\s*([0-9]{1,9})(?:-([0-9]{1,9}))?\s*$/.exec(part) ?? [];
    if (from === undefined || Number(to) - Number(from) > 1_000_000)
      throw new InvalidArgumentError('It must be numbers of rows, such as 17,20-25.');
    for (let row = Number(from); row <= Number(to); row += 1) rows.add(row);
  }
  return rows;
}
