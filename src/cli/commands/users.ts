import type { Command } from 'commander';
import { Option } from 'commander';
import { UsageError } from '../../domain/errors.ts';
import { ROLES, type Role } from '../../domain/role.ts';
import type { UserDoc } from '../../store/models.ts';
import { addUser, editUser, linkFor, listUsers, revokeUser } from '../../store/users.ts';
import type { Cli } from '../cli.ts';
import { type JsonOption, printsFacts } from '../options.ts';
import { table } from '../table.ts';

interface UserOptions extends JsonOption {
  readonly name?: string;
  readonly role?: Role;
  readonly subenvironment?: string[];
}

interface EditOptions extends UserOptions {
  readonly link?: boolean;
  readonly forgetIdentity?: boolean;
}

const role = () => new Option('--role <role>', 'what the person may do').choices(ROLES);

export function addUsers(program: Command, cli: Cli): void {
  const users = program.command('users').description('people who may log in, with their roles');

  printsFacts(
    users
      .command('list')
      .description('lists the people with their roles')
      .action(async ({ json }: JsonOption) => {
        const found = (await listUsers((await cli.open()).store)).map(viewUser);
        cli.out.show(json, found, () =>
          found.length === 0 ? 'No user yet. Add one: muster users add LOGIN --role administrator' : usersText(found),
        );
      }),
    'muster users list',
  );
  printsFacts(
    users
      .command('add <login>')
      .description('adds a person, and prints the one-time link by which a password is set')
      .addOption(role().makeOptionMandatory())
      .option('--name <name>', 'what the person is called')
      .option('--subenvironment <name...>', 'what a reseller has access to')
      .action((login: string, options: UserOptions) => add(cli, login, options)),
    'muster users add jansen@example.org --role operator',
  );
  printsFacts(
    users
      .command('edit <login>')
      .description('changes name, role or subenvironments; --link prints a new one-time link')
      .addOption(role())
      .option('--name <name>', 'what the person is called')
      .option('--subenvironment <name...>', 'what a reseller has access to, in place of those before')
      .option('--link', 'a new one-time link, by which a new password is set')
      .option('--forget-identity', 'forget who the person is to the log-in service (OIDC); the next log-in ties anew')
      .action((login: string, options: EditOptions) => edit(cli, login, options)),
    'muster users edit jansen@example.org --role administrator',
    'muster users edit jansen@example.org --link',
  );
  printsFacts(
    users
      .command('revoke <login>')
      .description("takes a person's access away: sessions and keys end at once")
      .action(async (login: string, { json }: JsonOption) => {
        await revokeUser((await cli.open()).services, login, cli.by);
        cli.out.show(json, { login, revoked: true }, () => `${login} has no access any more.`);
      }),
    'muster users revoke jansen@example.org',
  );
}

async function add(cli: Cli, login: string, { json, name, role, subenvironment }: UserOptions): Promise<void> {
  const { services } = await cli.open();
  const user = await addUser(services, {
    login,
    role: role as Role,
    ...(name !== undefined && { name }),
    ...(subenvironment && { subenvironments: subenvironment }),
    by: cli.by,
  });
  const link = await linkFor(services, user._id, cli.by);
  cli.out.show(json, { ...viewUser(user), link }, () => `${user._id} was added as ${user.role}.\n${linkText(link)}`);
}

async function edit(
  cli: Cli,
  login: string,
  { json, name, role, subenvironment, link, forgetIdentity }: EditOptions,
): Promise<void> {
  const { services } = await cli.open();
  const set = {
    ...(name !== undefined && { name }),
    ...(role && { role }),
    ...(subenvironment && { subenvironments: subenvironment }),
    ...(forgetIdentity && { identity: null }),
  };
  if (Object.keys(set).length === 0 && !link) {
    throw new UsageError(
      'Nothing to change was named; nothing was changed. Give --name, --role, --subenvironment, --link or --forget-identity.',
    );
  }
  const user = await editUser(services, login, set, { by: cli.by });
  const token = link ? await linkFor(services, user._id, cli.by) : undefined;
  cli.out.show(
    json,
    { ...viewUser(user), ...(token && { link: token }) },
    () => `${user._id} is ${user.role}.${token ? `\n${linkText(token)}` : ''}`,
  );
}

function linkText(token: string): string {
  return `A password is set by this link, once, within a day: ADDRESS-OF-MUSTER/setup#${token}`;
}

interface UserView {
  readonly login: string;
  readonly name: string;
  readonly role: Role;
  readonly subenvironments: readonly string[];
  /** The issuer by which the person has logged in (OIDC). */
  readonly identity: string | null;
  readonly state: 'active' | 'no password yet' | 'revoked';
}

function viewUser({ _id, name, role, subenvironments, password, identity, revokedAt }: UserDoc): UserView {
  return {
    login: _id,
    name,
    role,
    subenvironments,
    identity: identity?.issuer ?? null,
    state: revokedAt ? 'revoked' : password || identity ? 'active' : 'no password yet',
  };
}

function usersText(users: readonly UserView[]): string {
  return table(
    ['login', 'name', 'role', 'subenvironments', 'state'],
    users.map(({ login, name, role, subenvironments, state }) => [
      login,
      name,
      role,
      subenvironments.join(', '),
      state,
    ]),
  );
}
