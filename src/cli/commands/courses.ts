import type { Command } from 'commander';
import { addCourse } from '../../run/structureChange.ts';
import { countSubscriptions, courseView, viewCourse } from '../../run/views/courseView.ts';
import { keyOf } from '../../run/views/key.ts';
import { compare } from '../../run/views/learnerView.ts';
import { readCourses, readStructure } from '../../store/structure.ts';
import type { Cli } from '../cli.ts';
import { type JsonOption, newExternalId, printsFacts } from '../options.ts';
import { courseOf } from '../references.ts';
import { table } from '../table.ts';

export function addCourses(program: Command, cli: Cli): void {
  const courses = program.command('courses').description('courses and learning journeys');

  printsFacts(
    courses
      .command('list')
      .description('lists the courses with their groups and subscriptions')
      .action(({ json }: JsonOption) => list(cli, json)),
    'muster courses list',
  );

  printsFacts(
    courses
      .command('add <name>')
      .description('adds a course')
      .option('--external-id <id>', 'its External ID')
      .action(async (name: string, { json, externalId }: JsonOption & { externalId?: string }) => {
        const { services, store } = await cli.open();
        const id = externalId === undefined ? {} : { externalId: newExternalId(externalId) };
        const added = await addCourse(services, { name, ...id, by: cli.by });
        const view = await viewCourse(services, await courseOf(store, `id:${added}`));
        cli.out.show(json, view, () => `Course ${view.externalId ?? view.id} (${view.name}) was added.`);
      }),
    'muster courses add "Fire safety" --external-id fire',
  );
}

async function list(cli: Cli, json: boolean | undefined): Promise<void> {
  const { store } = await cli.open();
  const courses = [...(await readCourses(store)).values()].sort((a, b) => compare(keyOf(a), keyOf(b)));
  const structure = await readStructure(store);
  const counts = await countSubscriptions(
    store,
    courses.map(({ id }) => id),
  );
  const views = courses.map((course) => courseView(course, structure, counts.get(course.id)));
  cli.out.show(json, views, () =>
    views.length === 0
      ? 'No course yet. Add one: muster courses add NAME --external-id ID'
      : table(
          ['course', 'name', 'groups', 'active', 'expired'],
          views.map(({ externalId, id, name, groups, subscriptions }) => [
            externalId ?? id,
            name,
            groups.length,
            subscriptions.active,
            subscriptions.expired,
          ]),
        ),
  );
}
