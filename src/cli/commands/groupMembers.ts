import type { Command } from 'commander';
import type { RemovalOption } from '../../domain/change.ts';
import { UsageError } from '../../domain/errors.ts';
import { type GroupId, MANUAL } from '../../domain/ids.ts';
import type { Learner } from '../../domain/learner.ts';
import { addMembers, previewRemoval, removeMembers } from '../../run/memberships.ts';
import { viewResult, viewSkipped } from '../../run/views/resultView.ts';
import type { Cli } from '../cli.ts';
import { confirmed } from '../confirm.ts';
import { learnersIn, namedLearners, outcomesOf, outcomesText, strictly } from '../learnerLines.ts';
import { coursesOption, type JsonOption, printsFacts, REMOVALS } from '../options.ts';
import { groupOf } from '../references.ts';
import { previewText, resultText } from '../resultText.ts';
import { counted } from '../table.ts';

/** Commands that put learners into a group by hand, and take them out. */
export function addGroupMembers(groups: Command, cli: Cli): void {
  printsFacts(
    groups
      .command('add <group> [learner...]')
      .description('puts learners into a group by hand')
      .option('--file <file>', 'a list: one External ID or e-mail address a line; - reads standard input')
      .option('--strict', 'exit code 4 where a line of the list is unknown')
      .action((group: string, names: string[], options: ListOptions) => add(cli, group, names, options)),
    'muster groups add sector-a 104711 ann@example.org',
    'muster groups add sector-a --file list.txt',
  );
  printsFacts(
    groups
      .command('remove <group> [learner...]')
      .description('takes learners out of a group, whoever put them there')
      .option('--file <file>', 'a list: one External ID or e-mail address a line; - reads standard input')
      .option('--all', 'everybody in the group')
      .addOption(coursesOption(REMOVALS, 'keep'))
      .option('--preview', 'say what would happen; change nothing')
      .option('--yes', 'purge without asking')
      .option('--strict', 'exit code 4 where a line of the list is unknown')
      .action((group: string, names: string[], options: RemoveOptions) => remove(cli, group, names, options)),
    'muster groups remove sector-a 104711 --courses expire',
    'muster groups remove sector-a --all --courses purge --preview',
  );
}

interface ListOptions extends JsonOption {
  readonly file?: string;
  readonly strict?: boolean;
}

async function add(
  cli: Cli,
  text: string,
  names: readonly string[],
  { json, file, strict }: ListOptions,
): Promise<void> {
  const { services, store } = await cli.open();
  const { id: group } = await groupOf(store, text);
  const named = await namedLearners(cli, store, names, file);
  const fresh = learnersIn(named).filter((learner) => !holds(learner, group, MANUAL));
  const result = await addMembers(services, { group, learners: fresh.map(({ id }) => id), by: cli.by });
  const lines = outcomesOf(named, (learner) => (holds(learner, group, MANUAL) ? 'already' : 'added'));
  const view = { ...(await viewResult(store, result)), lines };
  cli.out.show(json, view, () => `${outcomesText(lines, 'added')}\n${resultText(view)}`);
  strictly(cli, lines, strict);
}

interface RemoveOptions extends ListOptions {
  readonly all?: boolean;
  readonly courses: RemovalOption;
  readonly preview?: boolean;
  readonly yes?: boolean;
}

async function remove(cli: Cli, text: string, names: readonly string[], options: RemoveOptions): Promise<void> {
  const { json, file, all, courses, preview, yes, strict } = options;
  const { services, store } = await cli.open();
  if (all && (names.length > 0 || file !== undefined)) {
    throw new UsageError('Name learners, or all of them with --all (one of the two); nothing was changed.');
  }
  const { id: group } = await groupOf(store, text);
  const named = all ? [] : await namedLearners(cli, store, names, file);
  const learners = all ? 'all' : learnersIn(named).map(({ id }) => id);
  if (preview || courses === 'purge') {
    const found = await previewRemoval(services, { group, learners, courses });
    const view = { ...found, skipped: await viewSkipped(store, found.skipped) };
    const text = previewText(`${counted(found.learners, 'learner')} would leave the group`, view, courses);
    if (preview) return cli.out.show(json, view, () => text);
    cli.out.say(text);
    await confirmed(cli, 'Delete these results?', yes);
  }
  const result = await removeMembers(services, { group, learners, courses, by: cli.by });
  const lines = outcomesOf(named, (learner) => (holds(learner, group) ? 'removed' : 'not a member'));
  const view = { ...(await viewResult(store, result)), lines };
  cli.out.show(json, view, () => (all ? resultText(view) : `${outcomesText(lines, 'removed')}\n${resultText(view)}`));
  strictly(cli, lines, strict);
}

function holds(learner: Learner, group: GroupId, source?: string): boolean {
  const membership = learner.memberships.find((one) => one.group === group);
  return membership?.sources.some((one) => source === undefined || one.source === source) ?? false;
}
