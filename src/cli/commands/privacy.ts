import { resolve } from 'node:path';
import type { Command } from 'commander';
import { Option } from 'commander';
import { type Erased, eraseLearner, liftErasure, type Traces, tracesOf } from '../../run/erase.ts';
import type { Places } from '../../run/storedFiles.ts';
import { exportPerson } from '../../run/views/personExport.ts';
import type { Cli } from '../cli.ts';
import { confirmed } from '../confirm.ts';
import { type JsonOption, printsFacts, withExamples } from '../options.ts';
import { learnerOf } from '../references.ts';
import { counted } from '../table.ts';

/** `learners export`, `erase` and `unerase`: what data-protection law asks for. */
export function addPrivacy(learners: Command, cli: Cli): void {
  withExamples(
    learners
      .command('export <learner>')
      .description('writes all that is held of one person')
      .addOption(new Option('--format <format>', 'how it is written').choices(['json']).default('json'))
      .action(async (text: string) => {
        const { services, store } = await cli.open();
        cli.out.show(true, await exportPerson(services, await learnerOf(store, text)), () => '');
      }),
    'muster learners export 104711 > 104711.json',
  );
  printsFacts(
    learners
      .command('erase <learner>')
      .description('erases a person from everything that is stored, for good; the next import does not bring them back')
      .option('--reason <text>', 'why, for the audit; without names')
      .option('--preview', 'say what would go; change nothing')
      .option('--yes', 'erase without asking')
      .action((text: string, options: EraseOptions) => erase(cli, text, options)),
    'muster learners erase 104711 --reason "asked for on 24 November"',
    'muster learners erase 104711 --preview',
  );
  printsFacts(
    learners
      .command('unerase <external-id>')
      .description('lifts an erasure, so that imports may bring the person back; nothing erased returns')
      .action(async (text: string, { json }: JsonOption) => {
        const { services } = await cli.open();
        const lifted = await liftErasure(services, { text, by: cli.by });
        cli.out.show(
          json,
          lifted,
          () => 'The erasure was lifted: the next run of a feed that names the person creates a new learner.',
        );
      }),
    'muster learners unerase 104711',
  );
}

interface EraseOptions extends JsonOption {
  readonly reason?: string;
  readonly preview?: boolean;
  readonly yes?: boolean;
}

async function erase(cli: Cli, text: string, { json, reason, preview, yes }: EraseOptions): Promise<void> {
  const { services, store } = await cli.open();
  const places = await placesOf(cli);
  const learner = await learnerOf(store, text);
  const traces = await tracesOf(services, places, learner);
  if (preview) return cli.out.show(json, traces, () => tracesText(traces));
  cli.out.say(tracesText(traces));
  await confirmed(cli, 'Erase this person for good?', yes, 'An erasure cannot be taken back');
  const order = { learner: learner.id, by: cli.by, ...(reason !== undefined && { reason }) };
  const erased = await eraseLearner(services, places, order);
  cli.out.show(json, { ...erased, erased: traces }, () => erasedText(erased));
}

async function placesOf(cli: Cli): Promise<Places> {
  const { env } = await cli.open();
  return { base: cli.directory, data: resolve(cli.directory, env.MUSTER_DATA) };
}

function tracesText({
  memberships,
  subscriptions,
  results,
  setAside,
  plans,
  rejectedRows,
  files,
  reports,
}: Traces): string {
  return [
    'The person goes, for good:',
    `  ${counted(memberships, 'membership')}, ${counted(subscriptions, 'subscription')}, ${counted(results, 'result')}, ${counted(setAside, 'operation')} set aside`,
    `  ${counted(rejectedRows, 'rejected row')}, rows in ${counted(files, 'stored feed file')}, the address in ${counted(reports, 'report')}`,
    `  name, address and attributes in ${counted(plans, 'part')} of past and waiting plans; the audit goes on by number`,
    'Imports leave the person out from then on, until muster learners unerase.',
  ].join('\n');
}

function erasedText({ run, learner, waitsFor }: Erased): string {
  const done = `Erased: ${learner} is a number without a person (${run}).`;
  if (waitsFor.length === 0) return done;
  return `${done}\nRuns were at work whose plans were made before: ${waitsFor.join(', ')}. When they have ended, a worker goes through everything once more.`;
}
