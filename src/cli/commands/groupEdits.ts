import type { Command } from 'commander';
import type { RemovalOption } from '../../domain/change.ts';
import { UsageError } from '../../domain/errors.ts';
import type { Group } from '../../domain/structure.ts';
import type { ManualResult } from '../../run/manual.ts';
import {
  createGroup,
  deleteGroup,
  editGroup,
  type GroupEdit,
  linkCourses,
  moveGroup,
  refuseCircle,
  unlinkCourses,
} from '../../run/structureChange.ts';
import { viewGroup } from '../../run/views/groupView.ts';
import { type EndingPreview, previewStructure } from '../../run/views/purgePreview.ts';
import { viewResult } from '../../run/views/resultView.ts';
import { readStructure } from '../../store/structure.ts';
import type { Cli } from '../cli.ts';
import { confirmed } from '../confirm.ts';
import { coursesOption, type JsonOption, newExternalId, printsFacts, REMOVALS } from '../options.ts';
import { coursesOf, groupOf } from '../references.ts';
import { resultText } from '../resultText.ts';
import { counted } from '../table.ts';

/** Commands that change groups and links. */
export function addGroupEdits(groups: Command, cli: Cli): void {
  printsFacts(
    groups
      .command('create <name>')
      .description('creates a group')
      .option('--external-id <id>', 'its External ID; needed to import learners into it')
      .option('--parent <group>', 'the group that it lies in')
      .option('--instructor <name...>', 'who instructs it')
      .option('--subenvironment <name...>', 'the subenvironments that it is linked to')
      .action((name: string, options: CreateOptions) => create(cli, name, options)),
    'muster groups create "Sector A" --external-id sector-a --parent all',
  );
  printsFacts(
    groups
      .command('edit <group>')
      .description('changes the name, External ID, instructors or subenvironments of a group')
      .option('--name <name>', 'a new name')
      .option('--external-id <id>', 'a new External ID; "" takes it away')
      .option('--instructor <name...>', 'who instructs it, in place of those before; "" for nobody')
      .option(
        '--subenvironment <name...>',
        'the subenvironments that it is linked to, in place of those before; "" for none',
      )
      .action((text: string, options: EditOptions) => edit(cli, text, options)),
    'muster groups edit sector-a --name "Sector A (north)"',
  );
  printsFacts(
    groups
      .command('move <group>')
      .description('puts a group, with those below it, into another, or at the top')
      .option('--parent <group>', 'the group that it is to lie in')
      .option('--top', 'at the top, in no group')
      .addOption(coursesOption(REMOVALS, 'expire'))
      .option('--preview', 'say what would end; change nothing')
      .option('--yes', 'purge without asking')
      .action((text: string, options: MoveOptions) => move(cli, text, options)),
    'muster groups move sector-a --parent europe',
  );
  printsFacts(
    groups
      .command('delete <group>')
      .description('deletes a group; those in it go to its parent')
      .addOption(coursesOption(REMOVALS, 'expire'))
      .option('--preview', 'say what would end; change nothing')
      .option('--yes', 'purge without asking')
      .action((text: string, options: EndingOptions) => remove(cli, text, options)),
    'muster groups delete sector-a --courses keep',
  );
  printsFacts(
    groups
      .command('link <group> <course...>')
      .description('gives the members of a group, and of those below it, access to courses')
      .action(async (text: string, names: string[], { json }: JsonOption) => {
        const { services, store } = await cli.open();
        const group = await groupOf(store, text);
        const courses = (await coursesOf(store, names)).map(({ id }) => id);
        await showResult(cli, json, await linkCourses(services, { group: group.id, courses, by: cli.by }));
      }),
    'muster groups link sector-a fire first-aid',
  );
  printsFacts(
    groups
      .command('unlink <group> <course...>')
      .description('takes courses away from a group')
      .addOption(coursesOption(REMOVALS, 'expire'))
      .option('--preview', 'say what would end; change nothing')
      .option('--yes', 'purge without asking')
      .action((text: string, names: string[], options: EndingOptions) => unlink(cli, text, names, options)),
    'muster groups unlink sector-a fire --courses keep',
  );
}

interface CreateOptions extends JsonOption {
  readonly externalId?: string;
  readonly parent?: string;
  readonly instructor?: string[];
  readonly subenvironment?: string[];
}

async function create(cli: Cli, name: string, options: CreateOptions): Promise<void> {
  const { json, externalId, parent, instructor, subenvironment } = options;
  const { services, store } = await cli.open();
  const id = await createGroup(services, {
    name,
    ...(externalId !== undefined && { externalId: newExternalId(externalId) }),
    ...(parent !== undefined && { parent: (await groupOf(store, parent)).id }),
    ...(instructor && { instructors: named(instructor) }),
    ...(subenvironment && { subenvironments: named(subenvironment) }),
    by: cli.by,
  });
  const view = await viewGroup(services, await groupOf(store, `id:${id}`));
  cli.out.show(json, view, () => `Group ${view.externalId ?? view.id} (${view.name}) was created.`);
}

/** `""` names nobody. */
function named(texts: readonly string[]): string[] {
  return texts.filter((text) => text !== '');
}

interface EditOptions extends JsonOption {
  readonly name?: string;
  readonly externalId?: string;
  readonly instructor?: string[];
  readonly subenvironment?: string[];
}

async function edit(
  cli: Cli,
  text: string,
  { json, name, externalId, instructor, subenvironment }: EditOptions,
): Promise<void> {
  const { services, store } = await cli.open();
  const set: GroupEdit = {
    ...(name !== undefined && { name }),
    ...(externalId !== undefined && { externalId: externalId === '' ? null : newExternalId(externalId) }),
    ...(instructor && { instructors: named(instructor) }),
    ...(subenvironment && { subenvironments: named(subenvironment) }),
  };
  if (Object.keys(set).length === 0) {
    throw new UsageError(
      'Nothing to change was named; nothing was changed. Give --name, --external-id, --instructor or --subenvironment.',
    );
  }
  const { id } = await groupOf(store, text);
  await editGroup(services, { group: id, set, by: cli.by });
  const view = await viewGroup(services, await groupOf(store, `id:${id}`));
  cli.out.show(json, view, () => `Group ${view.externalId ?? view.id} (${view.name}) was changed.`);
}

interface EndingOptions extends JsonOption {
  readonly courses: RemovalOption;
  readonly preview?: boolean;
  readonly yes?: boolean;
}

interface MoveOptions extends EndingOptions {
  readonly parent?: string;
  readonly top?: boolean;
}

async function move(cli: Cli, text: string, options: MoveOptions): Promise<void> {
  const { services, store } = await cli.open();
  if ((options.parent === undefined) === !options.top) {
    throw new UsageError('Say where to: --parent GROUP or --top (one of the two); nothing was changed.');
  }
  const group = await groupOf(store, text);
  const above = options.parent === undefined ? undefined : await groupOf(store, options.parent);
  if (above) refuseCircle(await readStructure(store), group, above);
  const parent = above?.id ?? null;
  await ending(cli, group, options, moved(group, parent), () =>
    moveGroup(services, { group: group.id, parent, courses: options.courses, by: cli.by }),
  );
}

function moved(group: Group, parent: Group['id'] | null): (one: Group) => Group {
  return (one) => {
    if (one.id !== group.id) return one;
    const { parent: _, ...rest } = one;
    return { ...rest, ...(parent !== null && { parent }) };
  };
}

async function remove(cli: Cli, text: string, options: EndingOptions): Promise<void> {
  const { services, store } = await cli.open();
  const group = await groupOf(store, text);
  const without = (one: Group): Group | null => {
    if (one.id === group.id) return null;
    if (one.parent !== group.id) return one;
    const { parent: _, ...rest } = one;
    return { ...rest, ...(group.parent !== undefined && { parent: group.parent }) };
  };
  await ending(cli, group, options, without, () =>
    deleteGroup(services, { group: group.id, courses: options.courses, by: cli.by }),
  );
}

async function unlink(cli: Cli, text: string, names: readonly string[], options: EndingOptions): Promise<void> {
  const { services, store } = await cli.open();
  const group = await groupOf(store, text);
  const courses = (await coursesOf(store, names)).map(({ id }) => id);
  const unlinked = (one: Group) =>
    one.id === group.id ? { ...one, courses: one.courses.filter((course) => !courses.includes(course)) } : one;
  await ending(cli, group, options, unlinked, () =>
    unlinkCourses(services, { group: group.id, courses, option: options.courses, by: cli.by }),
  );
}

/** A change that may end subscriptions: looked at only with `--preview`, and a purge is confirmed with its figures (R11). */
async function ending(
  cli: Cli,
  group: Group,
  { json, courses, preview, yes }: EndingOptions,
  change: (group: Group) => Group | null,
  act: () => Promise<ManualResult>,
): Promise<void> {
  const { services } = await cli.open();
  if (preview || courses === 'purge') {
    const found = await previewStructure(services, group.id, change);
    if (preview) return cli.out.show(json, found, () => endingText(found, courses));
    cli.out.say(endingText(found, courses));
    await confirmed(cli, 'Delete these results?', yes);
  }
  await showResult(cli, json, await act());
}

function endingText({ learners, courses, results }: EndingPreview, option: RemovalOption): string {
  const lost = `${counted(learners, 'learner')} would lose ${counted(courses, 'course')} that nothing else gives`;
  if (option === 'keep') return `${lost}; keep makes direct grants of them.`;
  return option === 'purge'
    ? `${lost}; purge deletes ${counted(results, 'result')}, those of memberships that have ended among them.`
    : `${lost}; expire saves the results.`;
}

export async function showResult(cli: Cli, json: boolean | undefined, result: ManualResult): Promise<void> {
  const { store } = await cli.open();
  const view = await viewResult(store, result);
  cli.out.show(json, view, () => resultText(view));
}
