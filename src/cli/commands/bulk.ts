import type { Command } from 'commander';
import { externalId } from '../../domain/ids.ts';
import type { Identity } from '../../domain/learner.ts';
import { addLearners, type BulkLine, createGroups } from '../../run/bulk.ts';
import type { Cli } from '../cli.ts';
import { address, attributeName } from '../identity.ts';
import { type JsonOption, newExternalId, printsFacts } from '../options.ts';
import { readSheet } from '../sheet.ts';
import { counted, table } from '../table.ts';

interface BulkOptions extends JsonOption {
  readonly strict?: boolean;
}

/** `groups import`: many groups as one change. */
export function addGroupsImport(groups: Command, cli: Cli): void {
  printsFacts(
    groups
      .command('import <file>')
      .description(
        'creates many groups from a CSV with the columns externalId, name, and parent, courses (;) where wanted',
      )
      .option('--strict', 'exit code 4 where one was not created')
      .action(async (file: string, options: BulkOptions) => {
        const rows = await readSheet(cli, file, ['externalId', 'name']);
        const groups = rows.map(({ externalId: id = '', name = '', parent = '', courses = '' }) => ({
          externalId: newExternalId(id),
          name: name || id,
          ...(parent !== '' && { parent: newExternalId(parent) }),
          courses: courses.split(';').flatMap((course) => externalId(course) ?? []),
        }));
        await show(cli, options, await createGroups((await cli.open()).services, { groups, by: cli.by }));
      }),
    'muster groups import groups.csv',
  );
}

/** `learners import`: many learners as one change, without a feed. */
export function addLearnersImport(learners: Command, cli: Cli): void {
  printsFacts(
    learners
      .command('import <file>')
      .description(
        'adds many learners by hand from a CSV with the column externalId, email, firstName, lastName; others are attributes',
      )
      .option('--strict', 'exit code 4 where one was not added')
      .action(async (file: string, options: BulkOptions) => {
        const learners = (await readSheet(cli, file, ['externalId'])).map(identityOf);
        await show(cli, options, await addLearners((await cli.open()).services, { learners, by: cli.by }));
      }),
    'muster learners import people.csv',
  );
}

function identityOf({
  externalId: id = '',
  email = '',
  firstName = '',
  lastName = '',
  ...others
}: Record<string, string>): Identity {
  const attributes = Object.entries(others).filter(([, value]) => value !== '');
  return {
    externalId: newExternalId(id),
    ...(email !== '' && { email: address(email) }),
    ...(firstName !== '' && { firstName }),
    ...(lastName !== '' && { lastName }),
    status: 'active',
    attributes: Object.fromEntries(attributes.map(([name, value]) => [attributeName(name), value])),
  };
}

async function show(cli: Cli, { json, strict }: BulkOptions, lines: readonly BulkLine[]): Promise<void> {
  const others = lines.filter(({ outcome }) => outcome !== 'created');
  cli.out.show(json, { lines }, () => {
    const sum = `${counted(lines.length - others.length, 'line')} of ${lines.length} created.`;
    if (others.length === 0) return sum;
    return `${sum}\n${table(
      ['named', 'outcome'],
      others.map(({ name, outcome }) => [name, outcome]),
    )}`;
  });
  if (strict && others.some(({ outcome }) => outcome !== 'already')) cli.exit = 4;
}
