import type { Command } from 'commander';
import { locate } from '../../feed/sources/file.ts';
import { requestRun } from '../../run/request.ts';
import { settingsOf } from '../../store/feeds.ts';
import type { Cli } from '../cli.ts';
import { drive, resumeInterrupted, showRun } from '../driving.ts';
import { type JsonOption, printsFacts } from '../options.ts';
import { feedOf } from '../references.ts';

interface RunOptions extends JsonOption {
  readonly preview?: boolean;
  readonly approve?: boolean;
  readonly strict?: boolean;
}

export function addRun(program: Command, cli: Cli): void {
  printsFacts(
    program
      .command('run <feed>')
      .description('runs a feed over its own source, now, and prints the report')
      .option('--preview', 'stop at the plan; nothing is changed')
      .option('--approve', 'let the plan pass the guard')
      .option('--strict', 'exit code 4 where rows were rejected')
      .action((name: string, options: RunOptions) => run(cli, name, options)),
    'muster run hr',
  );
}

async function run(cli: Cli, name: string, options: RunOptions): Promise<void> {
  const { preview = false, approve = false } = options;
  const { services, store } = await cli.open();
  const settings = settingsOf(await feedOf(store, name));
  const file = await locate(settings.source, cli.directory);
  if (!preview) await resumeInterrupted(cli, name);
  const source = { name: file.name, path: file.path, bytes: file.bytes };
  const requested = await requestRun(services, {
    feed: name,
    mode: settings.mode,
    preview,
    approve,
    by: cli.by,
    source,
  });
  await showRun(cli, await drive(cli, requested, file), options);
}
