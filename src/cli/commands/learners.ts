import type { Command } from 'commander';
import { type LearnerView, readSurroundings, viewLearners } from '../../run/views/learnerView.ts';
import type { Cli } from '../cli.ts';
import { type JsonOption, printsFacts } from '../options.ts';
import { learnerOf } from '../references.ts';
import { facts, table } from '../table.ts';
import { sourceText } from './groups.ts';

export function addLearners(program: Command, cli: Cli): void {
  const learners = program.command('learners').description('people: their groups, courses and results');

  printsFacts(
    learners
      .command('show <learner>')
      .description('shows a learner with memberships, subscriptions and progress')
      .action(async (text: string, { json }: JsonOption) => {
        const { services, store } = await cli.open();
        const learner = await learnerOf(store, text);
        const [view] = await viewLearners(services, [learner], await readSurroundings(services));
        cli.out.show(json, view, () => learnerText(view as LearnerView));
      }),
    'muster learners show 104711',
    'muster learners show ann@example.org --json',
  );
}

export function learnerText(view: LearnerView): string {
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
