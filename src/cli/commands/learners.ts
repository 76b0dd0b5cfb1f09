import type { Command } from 'commander';
import { Option } from 'commander';
import { NotFound, UsageError } from '../../domain/errors.ts';
import type { Identity } from '../../domain/learner.ts';
import { addLearner, editLearner, moveLearner } from '../../run/memberships.ts';
import { viewLearnerAt } from '../../run/views/asOf.ts';
import { type LearnerRow, listLearners } from '../../run/views/learnerList.ts';
import { type LearnerView, readSurroundings, viewLearners } from '../../run/views/learnerView.ts';
import type { Cli } from '../cli.ts';
import { address, attributeName } from '../identity.ts';
import { type JsonOption, moment, newExternalId, printsFacts, wholeNumber } from '../options.ts';
import { groupOf, learnerOf } from '../references.ts';
import { facts, table } from '../table.ts';
import { addLearnersImport } from './bulk.ts';
import { showResult } from './groupEdits.ts';
import { sourceText } from './groups.ts';
import { addHistory } from './history.ts';
import { addPrivacy } from './privacy.ts';
import { addWhy } from './why.ts';

export function addLearners(program: Command, cli: Cli): void {
  const learners = program.command('learners').description('people: their groups, courses and results');

  printsFacts(
    learners
      .command('list')
      .description('lists learners in the order of their External IDs')
      .option('--group <group>', 'in this group alone')
      .addOption(new Option('--status <status>', 'of this status alone').choices(['active', 'inactive']))
      .option('--search <text>', 'whose External ID, e-mail address or name begins with it')
      .option('--limit <number>', 'at most so many', wholeNumber, 50)
      .action((options: ListOptions) => list(cli, options)),
    'muster learners list --group sector-a',
  );
  printsFacts(
    learners
      .command('show <learner>')
      .description('shows a learner with memberships, subscriptions and progress')
      .option('--at <date>', 'as of this date, from the audit', moment)
      .action((text: string, { json, at }: JsonOption & { at?: Date }) => show(cli, text, json, at)),
    'muster learners show 104711',
    'muster learners show ann@example.org --json',
  );
  printsFacts(
    identityOptions(learners.command('add').description('adds a learner by hand')).action((options: IdentityOptions) =>
      add(cli, options),
    ),
    'muster learners add --external-id 104711 --email ann@example.org --first-name Ann --last-name Arbor',
  );
  printsFacts(
    identityOptions(learners.command('edit <learner>').description('changes a learner by hand; "" takes a field away'))
      .addOption(new Option('--status <status>', 'a new status').choices(['active', 'inactive']))
      .action((text: string, options: IdentityOptions) => edit(cli, text, options)),
    'muster learners edit 104711 --email ann.arbor@example.org --attribute department=Legal',
  );
  printsFacts(
    learners
      .command('move <learner>')
      .description('into one group and out of another, as one change: what both give is not touched')
      .requiredOption('--from <group>', 'out of this group')
      .requiredOption('--to <group>', 'into this group')
      .action(async (text: string, { json, from, to }: JsonOption & { from: string; to: string }) => {
        const { services, store } = await cli.open();
        const [learner, out, into] = [
          await learnerOf(store, text),
          await groupOf(store, from),
          await groupOf(store, to),
        ];
        await showResult(
          cli,
          json,
          await moveLearner(services, { learner: learner.id, from: out.id, to: into.id, by: cli.by }),
        );
      }),
    'muster learners move 104711 --from sector-a --to sector-b',
  );
  addHistory(learners, cli);
  addWhy(learners, cli);
  addPrivacy(learners, cli);
  addLearnersImport(learners, cli);
}

interface ListOptions extends JsonOption {
  readonly group?: string;
  readonly status?: 'active' | 'inactive';
  readonly search?: string;
  readonly limit: number;
}

async function list(cli: Cli, { json, group, limit, ...filter }: ListOptions): Promise<void> {
  const { services, store } = await cli.open();
  const within = group === undefined ? {} : { group: (await groupOf(store, group)).id };
  const rows = await listLearners(services, { ...filter, ...within, limit: limit + 1 });
  const shown = rows.slice(0, limit);
  cli.out.show(json, shown, () => (shown.length === 0 ? 'No learner.' : rowsText(shown)));
  if (rows.length > limit)
    cli.out.say(`There are more than ${limit}: narrow the list, raise --limit, or use muster export learners.`);
}

function rowsText(rows: readonly LearnerRow[]): string {
  return table(
    ['learner', 'name', 'email', 'status', 'groups'],
    rows.map(({ externalId, id, firstName, lastName, email, status, groups }) => [
      externalId ?? id,
      [firstName, lastName].filter(Boolean).join(' '),
      email,
      status,
      groups.join(', '),
    ]),
  );
}

async function show(cli: Cli, text: string, json: boolean | undefined, at?: Date): Promise<void> {
  const { services, store } = await cli.open();
  if (at) {
    const then = await viewLearnerAt(services, (await learnerOf(store, text)).id, at);
    if (!then) throw new NotFound(`There was no learner ${text} yet at ${at.toISOString()}.`);
    return cli.out.show(json, then, () => learnerText(then));
  }
  const [view] = await viewLearners(services, [await learnerOf(store, text)], await readSurroundings(services));
  cli.out.show(json, view, () => learnerText(view as LearnerView));
}

interface IdentityOptions extends JsonOption {
  readonly externalId?: string;
  readonly email?: string;
  readonly firstName?: string;
  readonly lastName?: string;
  readonly status?: 'active' | 'inactive';
  readonly attribute?: string[];
}

function identityOptions(command: Command): Command {
  return command
    .option('--external-id <id>', 'the External ID')
    .option('--email <address>', 'the e-mail address')
    .option('--first-name <name>', 'the first name')
    .option('--last-name <name>', 'the last name')
    .option('--attribute <name=value...>', 'further attributes');
}

async function add(cli: Cli, options: IdentityOptions): Promise<void> {
  const { externalId, email, firstName, lastName, attribute = [] } = options;
  if (!externalId && !email) {
    throw new UsageError(
      'A learner needs an External ID or an e-mail address; nothing was changed. Give --external-id or --email.',
    );
  }
  const identity: Identity = {
    ...(externalId && { externalId: newExternalId(externalId) }),
    ...(email && { email: address(email) }),
    ...(firstName && { firstName }),
    ...(lastName && { lastName }),
    status: 'active',
    attributes: Object.fromEntries(attribute.map(attributeOf)),
  };
  const { services } = await cli.open();
  const id = await addLearner(services, { identity, by: cli.by });
  await show(cli, `id:${id}`, options.json);
}

async function edit(cli: Cli, text: string, options: IdentityOptions): Promise<void> {
  const { json, attribute = [], externalId, email, ...others } = options;
  const set: Record<string, string | undefined> = {
    ...others,
    ...(externalId !== undefined && { externalId: externalId === '' ? undefined : newExternalId(externalId) }),
    ...(email !== undefined && { email: email === '' ? undefined : address(email) }),
    ...Object.fromEntries(attribute.map(attributeOf).map(([name, value]) => [`attributes.${name}`, value])),
  };
  if (Object.keys(set).length === 0)
    throw new UsageError(
      'Nothing to change was named; nothing was changed. `muster learners edit --help` lists what can be.',
    );
  const { services, store } = await cli.open();
  const { id } = await learnerOf(store, text);
  await editLearner(services, { learner: id, set, by: cli.by });
  await show(cli, `id:${id}`, json);
}

function attributeOf(text: string): [string, string] {
  const at = text.indexOf('=');
  if (at < 1) throw new UsageError(`--attribute ${text} is not NAME=VALUE; nothing was changed.`);
  return [
    attributeName(text.slice(0, at)),
    text
      .slice(at + 1)
      .trim()
      .normalize('NFC'),
  ];
}

function learnerText(view: LearnerView): string {
  const head = facts([
    ['learner', view.externalId ?? view.id],
    ['name', [view.firstName, view.lastName].filter(Boolean).join(' ')],
    ['email', view.email],
    ['status', view.status],
    ...Object.entries(view.attributes).map(([name, value]) => [name, value] as const),
  ]);
  const memberships = table(
    ['group', 'name', 'held by'],
    view.memberships.map(({ group, name, sources }) => [group, name, sources.map(sourceText).join(', ')]),
  );
  const subscriptions = table(
    ['course', 'status', 'through', 'since', 'progress'],
    view.subscriptions.map(({ course, status, through, direct, since, progress }) => [
      course,
      status,
      [...through, ...(direct ? ['direct grant'] : [])].join(', '),
      since.toISOString(),
      progress ? `${progress.completion} %${progress.score === null ? '' : `, score ${progress.score}`}` : '',
    ]),
  );
  return [
    head,
    view.memberships.length > 0 ? memberships : 'No group.',
    view.subscriptions.length > 0 ? subscriptions : 'No course.',
  ].join('\n\n');
}
