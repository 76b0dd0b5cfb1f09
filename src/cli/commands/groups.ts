import type { Command } from 'commander';
import { membersAt } from '../../run/views/asOf.ts';
import {
  type GroupView,
  type MemberView,
  membersOf,
  type TreeNode,
  treeOf,
  viewGroup,
} from '../../run/views/groupView.ts';
import { readCourses, readStructure } from '../../store/structure.ts';
import type { Cli } from '../cli.ts';
import { type JsonOption, moment, printsFacts } from '../options.ts';
import { groupOf } from '../references.ts';
import { count, facts, printable, table } from '../table.ts';
import { addGroupsImport } from './bulk.ts';
import { addGroupEdits } from './groupEdits.ts';
import { addGroupMembers } from './groupMembers.ts';

export function addGroups(program: Command, cli: Cli): void {
  const groups = program
    .command('groups')
    .description('learner groups: the tree, members, and the courses they give access to');

  printsFacts(
    groups
      .command('tree [group]')
      .description('shows the groups as they lie in each other, with the courses that they are linked to')
      .action((group: string | undefined, { json }: JsonOption) => tree(cli, group, json)),
    'muster groups tree',
  );
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
      .command('members <group>')
      .description('lists the learners in a group, and who holds each membership')
      .option('--effective', 'also those of the groups below it; valid now alone')
      .option('--at <date>', 'as of this date, from the audit', moment)
      .action((text: string, options: MembersOptions) => members(cli, text, options)),
    'muster groups members sector-a --effective',
  );
  addGroupEdits(groups, cli);
  addGroupMembers(groups, cli);
  addGroupsImport(groups, cli);
}

async function tree(cli: Cli, text: string | undefined, json: boolean | undefined): Promise<void> {
  const { store } = await cli.open();
  const root = text === undefined ? undefined : (await groupOf(store, text)).id;
  const nodes = treeOf(await readStructure(store), await readCourses(store), root);
  cli.out.show(json, nodes, () =>
    nodes.length === 0
      ? 'No group yet. Create one: muster groups create NAME --external-id ID'
      : treeLines(nodes).join('\n'),
  );
}

function treeLines(nodes: readonly TreeNode[], indent = ''): string[] {
  return nodes.flatMap(({ group, name, courses, children }) => [
    printable(`${indent}${group}  ${name}${courses.length > 0 ? `  → ${courses.join(', ')}` : ''}`),
    ...treeLines(children, `${indent}  `),
  ]);
}

interface MembersOptions extends JsonOption {
  readonly effective?: boolean;
  readonly at?: Date;
}

async function members(cli: Cli, text: string, { json, effective = false, at }: MembersOptions): Promise<void> {
  const { services, store } = await cli.open();
  const { id } = await groupOf(store, text);
  const all = at ? membersAt(services, id, { effective, at }) : membersOf(services, id, { effective });
  await cli.out.list(json, all, (found) =>
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

/** `hr from 2026-01-01T00:00:00.000Z`. */
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
