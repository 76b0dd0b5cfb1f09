import type { Command } from 'commander';
import { createGroup, linkCourses } from '../../run/structureChange.ts';
import { type GroupView, type MemberView, membersOf, viewGroup } from '../../run/views/groupView.ts';
import type { Cli } from '../cli.ts';
import { type JsonOption, newExternalId, printsFacts } from '../options.ts';
import { coursesOf, groupOf } from '../references.ts';
import { resultText, viewResult } from '../resultText.ts';
import { count, facts, table } from '../table.ts';

export function addGroups(program: Command, cli: Cli): void {
  const groups = program
    .command('groups')
    .description('learner groups: the tree, members, and the courses they give access to');

  printsFacts(
    groups
      .command('show <group>')
      .description('shows a group: where it lies, its courses, how many members')
      .action(async (text: string, { json }: JsonOption) => {
        const { services, store } = await cli.open();
        const view = await viewGroup(services, await groupOf(store, text));
        cli.out.show(json, view, () => groupText(view));
      }),
    'muster groups show sector-a',
  );

  printsFacts(
    groups
      .command('create <name>')
      .description('creates a group')
      .option('--external-id <id>', 'its External ID; needed to import learners into it')
      .option('--parent <group>', 'the group that it lies in')
      .option('--instructor <name...>', 'who instructs it')
      .action((name: string, options: CreateOptions) => create(cli, name, options)),
    'muster groups create "Sector A" --external-id sector-a --parent all',
  );

  printsFacts(
    groups
      .command('members <group>')
      .description('lists the learners in a group, and who holds each membership')
      .option('--effective', 'also those of the groups below it; valid now alone')
      .action((text: string, options: JsonOption & { effective?: boolean }) => members(cli, text, options)),
    'muster groups members sector-a --effective',
  );

  printsFacts(
    groups
      .command('link <group> <course...>')
      .description('gives the members of a group, and of those below it, access to courses')
      .action(async (text: string, names: string[], { json }: JsonOption) => {
        const { services, store } = await cli.open();
        const group = await groupOf(store, text);
        const courses = (await coursesOf(store, names)).map(({ id }) => id);
        const view = await viewResult(store, await linkCourses(services, { group: group.id, courses, by: cli.by }));
        cli.out.show(json, view, () => resultText(view));
      }),
    'muster groups link sector-a fire first-aid',
  );
}

interface CreateOptions extends JsonOption {
  readonly externalId?: string;
  readonly parent?: string;
  readonly instructor?: string[];
}

async function create(cli: Cli, name: string, { json, externalId, parent, instructor }: CreateOptions): Promise<void> {
  const { services, store } = await cli.open();
  const id = await createGroup(services, {
    name,
    ...(externalId !== undefined && { externalId: newExternalId(externalId) }),
    ...(parent !== undefined && { parent: (await groupOf(store, parent)).id }),
    ...(instructor && { instructors: instructor }),
    by: cli.by,
  });
  const view = await viewGroup(services, await groupOf(store, `id:${id}`));
  cli.out.show(json, view, () => `Group ${view.externalId ?? view.id} (${view.name}) was created.`);
}

async function members(
  cli: Cli,
  text: string,
  { json, effective = false }: JsonOption & { effective?: boolean },
): Promise<void> {
  const { services, store } = await cli.open();
  const found: MemberView[] = [];
  for await (const member of membersOf(services, (await groupOf(store, text)).id, { effective })) found.push(member);
  cli.out.show(json, found, () =>
    found.length === 0
      ? 'No member.'
      : table(
          ['learner', 'email', 'group', 'held by'],
          found.map(({ externalId, id, email, group, sources }) => [
            externalId ?? id,
            email,
            group,
            sources.map(sourceText).join(', '),
          ]),
        ),
  );
}

export function sourceText({ source, validFrom, validUntil }: MemberView['sources'][number]): string {
  const from = validFrom ? ` from ${validFrom.toISOString()}` : '';
  const until = validUntil ? ` until ${validUntil.toISOString()}` : '';
  return `${source}${from}${until}`;
}

function groupText(view: GroupView): string {
  return facts([
    ['group', view.externalId ?? view.id],
    ['name', view.name],
    ['lies in', view.parent ?? 'no group'],
    ['holds', view.children.join(', ')],
    ['instructors', view.instructors.join(', ')],
    ['subenvironments', view.subenvironments.join(', ')],
    [
      'gives',
      view.courses.map(({ course, inherited }) => (inherited ? `${course} (inherited)` : course)).join(', ') ||
        'no course',
    ],
    ['members', `${count(view.members.direct)}, with those below ${count(view.members.effective)}`],
  ]);
}
