import { type Command, Option } from 'commander';
import {
  audit,
  type ExportFormat,
  type ExportKind,
  exported,
  groups,
  learners,
  subscriptions,
} from '../../run/views/exportTables.ts';
import type { Cli } from '../cli.ts';
import { withExamples } from '../options.ts';

export function addExport(program: Command, cli: Cli): void {
  const command = program
    .command('export')
    .description('writes everything of a kind, in a stable order, one item a line');
  add('learners', 'every learner, as in `learners show`', learners);
  add('groups', 'every group, as in `groups show`', groups);
  add('subscriptions', 'every subscription of every learner', subscriptions);
  add('audit', 'every entry of the audit, in the order of its chain', audit);

  function add<T>(name: string, description: string, kind: ExportKind<T>): void {
    const one = command
      .command(name)
      .description(description)
      .addOption(
        new Option('--format <format>', 'one JSON document a line, or CSV')
          .choices(['ndjson', 'csv'])
          .default('ndjson'),
      )
      .action(async ({ format }: { format: ExportFormat }) => write(cli, kind, format));
    withExamples(one, `muster export ${name} --format csv > ${name}.csv`);
  }
}

async function write<T>(cli: Cli, kind: ExportKind<T>, format: ExportFormat): Promise<void> {
  for await (const line of exported(kind, format, (await cli.open()).services)) await cli.out.write(line);
}
