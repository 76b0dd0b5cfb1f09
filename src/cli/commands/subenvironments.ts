import type { Command } from 'commander';
import { setSubenvironment } from '../../run/structureChange.ts';
import {
  createSubenvironment,
  deleteSubenvironment,
  listSubenvironments,
  readSubenvironment,
  type SubenvironmentView,
  setAccess,
} from '../../run/subenvironments.ts';
import type { Cli } from '../cli.ts';
import { confirmed } from '../confirm.ts';
import { type JsonOption, printsFacts } from '../options.ts';
import { groupOf } from '../references.ts';
import { counted, facts, table } from '../table.ts';

export function addSubenvironments(program: Command, cli: Cli): void {
  const command = program.command('subenvironments').description('parts of the environment, which resellers are given');

  printsFacts(
    command
      .command('list')
      .description('lists the subenvironments, with what is in each')
      .action(async ({ json }: JsonOption) => {
        const found = await listSubenvironments(await services());
        cli.out.show(json, found, () =>
          found.length === 0 ? 'No subenvironment yet. Make one: muster subenvironments create NAME' : listText(found),
        );
      }),
    'muster subenvironments list',
  );
  printsFacts(
    command
      .command('show <name>')
      .description('shows its groups, its courses and who has access to it')
      .action(async (name: string, { json }: JsonOption) =>
        show(json, await readSubenvironment(await services(), name)),
      ),
    'muster subenvironments show north',
  );
  printsFacts(
    command
      .command('create <name>')
      .description('makes a subenvironment')
      .action(async (name: string, { json }: JsonOption) =>
        show(json, await createSubenvironment(await services(), { name, by: cli.by })),
      ),
    'muster subenvironments create north',
  );
  printsFacts(
    command
      .command('delete <name>')
      .description(
        'deletes it: groups are unlinked, its courses are in none, resellers lose it; no learner loses anything',
      )
      .option('--preview', 'say what is in it; change nothing')
      .option('--yes', 'delete without asking')
      .action((name: string, options: JsonOption & { preview?: boolean; yes?: boolean }) => remove(name, options)),
    'muster subenvironments delete north',
  );
  for (const linked of [true, false]) {
    const verb = linked ? 'link' : 'unlink';
    printsFacts(
      command
        .command(`${verb} <name> <group...>`)
        .description(linked ? 'links groups to it' : 'unlinks groups from it')
        .action((name: string, groups: string[], { json }: JsonOption) => link(name, groups, linked, json)),
      `muster subenvironments ${verb} north sector-a sector-b`,
    );
  }
  for (const allowed of [true, false]) {
    const verb = allowed ? 'allow' : 'deny';
    printsFacts(
      command
        .command(`${verb} <name> <login...>`)
        .description(allowed ? 'gives resellers access to it' : 'takes access to it away from resellers')
        .action(async (name: string, users: string[], { json }: JsonOption) =>
          show(json, await setAccess(await services(), { name, users, allowed, by: cli.by })),
        ),
      `muster subenvironments ${verb} north rik@example.org`,
    );
  }

  async function services() {
    return (await cli.open()).services;
  }

  function show(json: boolean | undefined, view: SubenvironmentView): void {
    cli.out.show(json, view, () => viewText(view));
  }

  async function link(name: string, texts: readonly string[], linked: boolean, json: boolean | undefined) {
    const { store } = await cli.open();
    await readSubenvironment(await services(), name);
    const groups = await Promise.all(texts.map(async (text) => (await groupOf(store, text)).id));
    await setSubenvironment(await services(), { groups, name, linked, by: cli.by });
    show(json, await readSubenvironment(await services(), name));
  }

  async function remove(name: string, { json, preview, yes }: JsonOption & { preview?: boolean; yes?: boolean }) {
    const view = await readSubenvironment(await services(), name);
    if (preview) return show(json, view);
    const { groups, courses, users } = view;
    cli.out.say(
      `${counted(groups.length, 'group')} would be unlinked, ${counted(courses.length, 'course')} be in no subenvironment, ${counted(users.length, 'user')} lose access.`,
    );
    await confirmed(cli, `Delete subenvironment ${name}?`, yes, 'What is in it is to be linked anew afterwards');
    const was = await deleteSubenvironment(await services(), { name, by: cli.by });
    cli.out.show(json, was, () => `Subenvironment ${name} was deleted.`);
  }
}

function listText(found: readonly SubenvironmentView[]): string {
  return table(
    ['subenvironment', 'groups', 'courses', 'users'],
    found.map(({ name, groups, courses, users }) => [name, groups.length, courses.length, users.length]),
  );
}

function viewText({ name, groups, courses, users }: SubenvironmentView): string {
  return facts([
    ['subenvironment', name],
    ['groups', groups.join(', ') || 'none'],
    ['courses', courses.join(', ') || 'none'],
    ['users', users.join(', ') || 'none'],
  ]);
}
