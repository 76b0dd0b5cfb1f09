import type { Command } from 'commander';
import { type HistoryEntry, historyOf } from '../../run/views/historyView.ts';
import type { Cli } from '../cli.ts';
import { type JsonOption, printsFacts } from '../options.ts';
import { learnerOf } from '../references.ts';
import { printable } from '../table.ts';
import { membershipLine, subscriptionLine } from './runs.ts';

/** `learners history`: a learner's timeline. */
export function addHistory(learners: Command, cli: Cli): void {
  printsFacts(
    learners
      .command('history <learner>')
      .description('the timeline of a learner: what changed, when, by whom and why')
      .action((text: string, { json }: JsonOption) => history(cli, text, json)),
    'muster learners history 104711',
  );
}

async function history(cli: Cli, text: string, json: boolean | undefined): Promise<void> {
  const { services, store } = await cli.open();
  const entries = await historyOf(services, (await learnerOf(store, text)).id);
  cli.out.show(json, entries, () => (entries.length === 0 ? 'No entry.' : entries.map(entryText).join('\n')));
}

function entryText({
  at,
  by,
  why,
  run,
  rows,
  created,
  fields,
  memberships,
  subscriptions,
  structure,
}: HistoryEntry): string {
  const where = rows.length > 0 ? `, row ${rows.join(', ')}` : '';
  const lines = [
    `${at.toISOString()}  ${why} (${run}${where}) by ${by}`,
    ...(created ? ['  created'] : []),
    ...fields.map(({ field, before, after }) => `  ${field}: ${before ?? 'none'} → ${after ?? 'none'}`),
    ...memberships.map((one) => `  ${membershipLine(one)}`),
    ...structure.map((line) => `  ${line}`),
    ...subscriptions.map((one) => `  ${subscriptionLine(one)}`),
  ];
  return lines.map(printable).join('\n');
}
