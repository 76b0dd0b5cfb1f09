import type { Command } from 'commander';
import { undoRun } from '../../run/undo.ts';
import type { Cli } from '../cli.ts';
import { drive, showRun } from '../driving.ts';
import { type JsonOption, printsFacts } from '../options.ts';
import { runOf } from '../references.ts';

/** `runs undo`: turns a run back. */
export function addUndo(runs: Command, cli: Cli): void {
  printsFacts(
    runs
      .command('undo <run>')
      .description('turns each change of a run back that nothing newer has overtaken, as a run of its own')
      .option('--approve', 'let the plan pass the guard')
      .action((id: string, options: JsonOption & { approve?: boolean }) => undo(cli, id, options)),
    'muster runs undo r12',
    'muster runs changes r13',
  );
}

async function undo(
  cli: Cli,
  id: string,
  { json, approve = false }: JsonOption & { approve?: boolean },
): Promise<void> {
  const { services, store } = await cli.open();
  const { _id } = await runOf(store, id);
  const made = await undoRun(services, { run: _id, by: cli.by, approve });
  await showRun(cli, made.state === 'applying' ? await drive(cli, made) : made, { ...(json && { json }) });
}
