import type { Command } from 'commander';
import { runSummary } from '../../run/views/runView.ts';
import { latestRuns } from '../../store/runs.ts';
import type { Cli } from '../cli.ts';
import { showRun } from '../driving.ts';
import { type JsonOption, printsFacts, wholeNumber } from '../options.ts';
import { feedOf, runOf } from '../references.ts';
import { table } from '../table.ts';

export function addRuns(program: Command, cli: Cli): void {
  const runs = program.command('runs').description('what was imported and changed: reports, held plans, rejected rows');

  printsFacts(
    runs
      .command('list')
      .description('lists the latest runs')
      .option('--feed <name>', 'of this feed alone')
      .option('--limit <number>', 'at most so many', wholeNumber, 20)
      .action((options: ListOptions) => list(cli, options)),
    'muster runs list --feed hr',
  );

  printsFacts(
    runs
      .command('show <run>')
      .description('prints the report of a run')
      .action(async (id: string, { json }: JsonOption) => {
        const run = await runOf((await cli.open()).store, id);
        await showRun(cli, run, json === undefined ? {} : { json });
        cli.exit = 0;
      }),
    'muster runs show r1',
  );
}

interface ListOptions extends JsonOption {
  readonly feed?: string;
  readonly limit: number;
}

async function list(cli: Cli, { json, feed, limit }: ListOptions): Promise<void> {
  const { store } = await cli.open();
  if (feed !== undefined) await feedOf(store, feed);
  const found = (await latestRuns(store, { limit, ...(feed !== undefined && { feed }) })).map(runSummary);
  cli.out.show(json, found, () =>
    found.length === 0
      ? 'No run yet.'
      : table(
          ['run', 'what', 'state', 'added', 'removed', 'rejected', 'by', 'when'],
          found.map((run) => [
            run.run,
            run.feed ? `feed ${run.feed}` : run.kind,
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
