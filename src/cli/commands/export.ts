import { type Command, Option } from 'commander';
import { exportGroups, exportLearners, exportSubscriptions, type SubscriptionView } from '../../run/views/exports.ts';
import type { GroupView } from '../../run/views/groupView.ts';
import type { LearnerView } from '../../run/views/learnerView.ts';
import type { Services } from '../../store/services.ts';
import type { Cli } from '../cli.ts';
import { csvRow } from '../csv.ts';
import { withExamples } from '../options.ts';

type Cell = string | number | boolean | null;
type Format = 'ndjson' | 'csv';

/** A kind of export: where its items come from, and its columns as CSV. */
interface Kind<T> {
  readonly items: (services: Services) => AsyncIterable<T>;
  readonly columns: readonly (readonly [string, (item: T) => Cell])[];
}

const learners: Kind<LearnerView> = {
  items: exportLearners,
  columns: [
    ['externalId', ({ externalId }) => externalId],
    ['email', ({ email }) => email],
    ['firstName', ({ firstName }) => firstName],
    ['lastName', ({ lastName }) => lastName],
    ['status', ({ status }) => status],
    ['attributes', ({ attributes }) => JSON.stringify(attributes)],
    ['groups', ({ memberships }) => memberships.map(({ group }) => group).join(';')],
    ['activeCourses', ({ subscriptions }) => coursesOf(subscriptions, 'active')],
    ['expiredCourses', ({ subscriptions }) => coursesOf(subscriptions, 'expired')],
  ],
};

const groups: Kind<GroupView> = {
  items: exportGroups,
  columns: [
    ['externalId', ({ externalId }) => externalId],
    ['name', ({ name }) => name],
    ['parent', ({ parent }) => parent],
    ['instructors', ({ instructors }) => instructors.join(';')],
    ['subenvironments', ({ subenvironments }) => subenvironments.join(';')],
    [
      'courses',
      ({ courses }) =>
        courses
          .filter(({ inherited }) => !inherited)
          .map(({ course }) => course)
          .join(';'),
    ],
    ['members', ({ members }) => members.direct],
    ['effectiveMembers', ({ members }) => members.effective],
  ],
};

const subscriptions: Kind<SubscriptionView> = {
  items: exportSubscriptions,
  columns: [
    ['learner', ({ learner }) => learner],
    ['email', ({ email }) => email],
    ['course', ({ course }) => course],
    ['status', ({ status }) => status],
    ['through', ({ through }) => through.join(';')],
    ['direct', ({ direct }) => direct],
    ['since', ({ since }) => since.toISOString()],
    ['completion', ({ progress }) => progress?.completion ?? null],
    ['score', ({ progress }) => progress?.score ?? null],
  ],
};

function coursesOf(of: LearnerView['subscriptions'], wanted: 'active' | 'expired'): string {
  return of
    .filter(({ status }) => status === wanted)
    .map(({ course }) => course)
    .join(';');
}

export function addExport(program: Command, cli: Cli): void {
  const command = program
    .command('export')
    .description('writes everything of a kind, in a stable order, one item a line');
  add('learners', 'every learner, as in `learners show`', learners);
  add('groups', 'every group, as in `groups show`', groups);
  add('subscriptions', 'every subscription of every learner', subscriptions);

  function add<T>(name: string, description: string, kind: Kind<T>): void {
    const one = command
      .command(name)
      .description(description)
      .addOption(
        new Option('--format <format>', 'one JSON document a line, or CSV')
          .choices(['ndjson', 'csv'])
          .default('ndjson'),
      )
      .action(async ({ format }: { format: Format }) => write(cli, kind, format, (await cli.open()).services));
    withExamples(one, `muster export ${name} --format csv > ${name}.csv`);
  }
}

async function write<T>(cli: Cli, { items, columns }: Kind<T>, format: Format, services: Services): Promise<void> {
  if (format === 'csv') await cli.out.write(csvRow(columns.map(([name]) => name)));
  for await (const item of items(services)) {
    await cli.out.write(format === 'csv' ? csvRow(columns.map(([, cell]) => cell(item))) : `${JSON.stringify(item)}\n`);
  }
}
