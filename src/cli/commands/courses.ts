import type { Command } from 'commander';
import { grantCourse, previewRevoke, revokeCourse } from '../../run/grants.ts';
import { addCourse } from '../../run/structureChange.ts';
import {
  type CourseView,
  countSubscriptions,
  courseView,
  subscribersOf,
  viewCourse,
} from '../../run/views/courseView.ts';
import { keyOf } from '../../run/views/key.ts';
import { compare } from '../../run/views/learnerView.ts';
import { viewResult, viewSkipped } from '../../run/views/resultView.ts';
import { readCourses, readStructure } from '../../store/structure.ts';
import { holdersOf } from '../../store/subscriptions.ts';
import type { Cli } from '../cli.ts';
import { confirmed } from '../confirm.ts';
import { learnersIn, namedLearners, outcomesOf, outcomesText, strictly } from '../learnerLines.ts';
import { coursesOption, type JsonOption, newExternalId, printsFacts } from '../options.ts';
import { courseOf } from '../references.ts';
import { previewText, resultText } from '../resultText.ts';
import { counted, facts, table } from '../table.ts';

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
      .command('show <course>')
      .description('shows a course: the groups that give it, how many have it')
      .action(async (text: string, { json }: JsonOption) => {
        const { services, store } = await cli.open();
        const view = await viewCourse(services, await courseOf(store, text));
        cli.out.show(json, view, () => courseText(view));
      }),
    'muster courses show fire',
  );
  printsFacts(
    courses
      .command('add <name>')
      .description('adds a course')
      .option('--external-id <id>', 'its External ID')
      .option('--subenvironment <name>', 'the subenvironment that it is in')
      .action(async (name: string, { json, externalId, subenvironment }: AddOptions) => {
        const { services, store } = await cli.open();
        const id = externalId === undefined ? {} : { externalId: newExternalId(externalId) };
        const added = await addCourse(services, {
          name,
          ...id,
          ...(subenvironment !== undefined && { subenvironment }),
          by: cli.by,
        });
        const view = await viewCourse(services, await courseOf(store, `id:${added}`));
        cli.out.show(json, view, () => `Course ${view.externalId ?? view.id} (${view.name}) was added.`);
      }),
    'muster courses add "Fire safety" --external-id fire',
  );
  printsFacts(
    courses
      .command('subscribers <course>')
      .description('lists everybody who has the course, or had it')
      .action((text: string, { json }: JsonOption) => subscribers(cli, text, json)),
    'muster courses subscribers fire --json',
  );
  printsFacts(
    withList(
      courses.command('grant <course> [learner...]').description('gives learners a course by hand, without a group'),
    ).action((course: string, names: string[], options: GrantOptions) => grant(cli, course, names, options)),
    'muster courses grant fire 104711',
  );
  printsFacts(
    withList(
      courses
        .command('revoke <course> [learner...]')
        .description('ends direct grants; what a group gives as well stays'),
    )
      .addOption(coursesOption(['expire', 'purge'] as const, 'expire'))
      .option('--preview', 'say what would end; change nothing')
      .option('--yes', 'purge without asking')
      .action((course: string, names: string[], options: RevokeOptions) => revoke(cli, course, names, options)),
    'muster courses revoke fire 104711 --courses expire',
  );
}

interface AddOptions extends JsonOption {
  readonly externalId?: string;
  readonly subenvironment?: string;
}

function withList(command: Command): Command {
  return command
    .option('--file <file>', 'a list: one External ID or e-mail address a line; - reads standard input')
    .option('--strict', 'exit code 4 where a line of the list is unknown');
}

async function list(cli: Cli, json: boolean | undefined): Promise<void> {
  const { store } = await cli.open();
  const courses = [...(await readCourses(store)).values()].sort((a, b) => compare(keyOf(a), keyOf(b)));
  const structure = await readStructure(store);
  const counts = await countSubscriptions(store);
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

function courseText(view: CourseView): string {
  return facts([
    ['course', view.externalId ?? view.id],
    ['name', view.name],
    ['subenvironment', view.subenvironment],
    ['given by', view.groups.join(', ') || 'no group'],
    ['subscriptions', `${view.subscriptions.active} active, ${view.subscriptions.expired} expired`],
  ]);
}

async function subscribers(cli: Cli, text: string, json: boolean | undefined): Promise<void> {
  const { services, store } = await cli.open();
  await cli.out.list(json, subscribersOf(services, (await courseOf(store, text)).id), (found) =>
    found.length === 0
      ? 'No subscriber.'
      : table(
          ['learner', 'email', 'status', 'through', 'since', 'progress'],
          found.map(({ externalId, id, email, status, through, direct, since, progress }) => [
            externalId ?? id,
            email,
            status,
            [...through, ...(direct ? ['direct grant'] : [])].join(', '),
            since.toISOString(),
            progress ? `${progress.completion} %` : '',
          ]),
        ),
  );
}

interface GrantOptions extends JsonOption {
  readonly file?: string;
  readonly strict?: boolean;
}

async function grant(
  cli: Cli,
  text: string,
  names: readonly string[],
  { json, file, strict }: GrantOptions,
): Promise<void> {
  const { services, store } = await cli.open();
  const { id: course } = await courseOf(store, text);
  const named = await namedLearners(cli, store, names, file);
  const ids = learnersIn(named).map(({ id }) => id);
  const granted = new Set(await holdersOf(store, new Set([course]), ids));
  const learners = ids.filter((id) => !granted.has(id));
  const result = await grantCourse(services, { course, learners, by: cli.by });
  const lines = outcomesOf(named, ({ id }) => (granted.has(id) ? 'already' : 'granted'));
  const view = { ...(await viewResult(store, result)), lines };
  cli.out.show(json, view, () => `${outcomesText(lines, 'granted')}\n${resultText(view)}`);
  strictly(cli, lines, strict);
}

interface RevokeOptions extends GrantOptions {
  readonly courses: 'expire' | 'purge';
  readonly preview?: boolean;
  readonly yes?: boolean;
}

async function revoke(cli: Cli, text: string, names: readonly string[], options: RevokeOptions): Promise<void> {
  const { json, file, strict, courses: option, preview, yes } = options;
  const { services, store } = await cli.open();
  const { id: course } = await courseOf(store, text);
  const named = await namedLearners(cli, store, names, file);
  const ids = learnersIn(named).map(({ id }) => id);
  const granted = new Set(await holdersOf(store, new Set([course]), ids));
  const learners = ids.filter((id) => granted.has(id));
  if (preview || option === 'purge') {
    const found = await previewRevoke(services, { course, learners, option });
    const view = { ...found, skipped: await viewSkipped(store, found.skipped) };
    const text = previewText(`${counted(found.learners, 'direct grant')} would end`, view, option);
    if (preview) return cli.out.show(json, view, () => text);
    cli.out.say(text);
    await confirmed(cli, 'Delete these results?', yes);
  }
  const result = await revokeCourse(services, { course, learners, option, by: cli.by });
  const lines = outcomesOf(named, ({ id }) => (granted.has(id) ? 'revoked' : 'no grant'));
  const view = { ...(await viewResult(store, result)), lines };
  cli.out.show(json, view, () => `${outcomesText(lines, 'revoked')}\n${resultText(view)}`);
  strictly(cli, lines, strict);
}
