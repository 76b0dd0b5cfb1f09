import { type Command, InvalidArgumentError, Option } from 'commander';
import { UsageError } from '../../domain/errors.ts';
import { type Role, SCOPES } from '../../domain/role.ts';
import { viewKey } from '../../http/views.ts';
import { addKey, editKey, listKeys, revokeKey } from '../../store/keys.ts';
import type { Cli } from '../cli.ts';
import { type JsonOption, printsFacts } from '../options.ts';
import { table } from '../table.ts';

interface KeyOptions extends JsonOption {
  readonly role?: Role;
  readonly user?: string;
  readonly scope: string[];
  readonly expires?: Date;
}

interface EditOptions extends JsonOption {
  readonly scope?: string[];
  readonly expires?: Date | typeof NEVER;
}

/** Without end. Commander takes a value that is null for none. */
const NEVER = 'never';

export function addKeys(program: Command, cli: Cli): void {
  const keys = program.command('keys').description('API keys, with roles and scopes');

  printsFacts(
    keys
      .command('list')
      .description('lists the keys')
      .action(async ({ json }: JsonOption) => {
        const found = (await listKeys((await cli.open()).store)).map(viewKey);
        cli.out.show(json, found, () =>
          found.length === 0 ? 'No key yet. Add one: muster keys add NAME --role operator' : keysText(found),
        );
      }),
    'muster keys list',
  );
  printsFacts(
    keys
      .command('add <name>')
      .description('makes a key and prints it, once')
      .addOption(new Option('--role <role>', 'a key of its own, with this role').choices(['administrator', 'operator']))
      .option('--user <login>', "a user's key: it may do what the user may")
      .option('--scope <scope...>', `what it may do: ${SCOPES.slice(0, 2).join(', ')}, or NOUN:read, NOUN:write`, [
        'read',
      ])
      .option('--expires <date>', 'until when it may be used, e.g. 2027-01-31', date)
      .action((name: string, options: KeyOptions) => add(cli, name, options)),
    'muster keys add nightly --role operator --scope feeds:read runs:write',
    'muster keys add prometheus --role operator --scope metrics:read',
  );
  printsFacts(
    keys
      .command('edit <key>')
      .description('changes what a key may do, and until when')
      .option('--scope <scope...>', 'what it may do, in place of what it might before')
      .option('--expires <date>', 'until when it may be used, e.g. 2027-01-31; never: without end', dateOrNever)
      .action((text: string, options: EditOptions) => edit(cli, text, options)),
    'muster keys edit nightly --scope runs:write --expires 2027-01-31',
    'muster keys edit nightly --expires never',
  );
  printsFacts(
    keys
      .command('revoke <key>')
      .description('ends a key')
      .action(async (text: string, { json }: JsonOption) => {
        const key = viewKey(await revokeKey((await cli.open()).services, text, cli.by));
        cli.out.show(json, key, () => `Key ${key.name} was revoked.`);
      }),
    'muster keys revoke nightly',
  );
}

async function add(cli: Cli, name: string, { json, role, user, scope, expires }: KeyOptions): Promise<void> {
  const { services } = await cli.open();
  const { key, token } = await addKey(services, {
    name,
    scopes: scope,
    ...(role && { role }),
    ...(user !== undefined && { user }),
    ...(expires && { expiresAt: expires }),
    by: cli.by,
  });
  cli.out.show(
    json,
    { ...viewKey(key), token },
    () => `${token}\nIt is shown this once. Send it as: Authorization: Bearer ${token.slice(0, 12)}…`,
  );
}

async function edit(cli: Cli, text: string, { json, scope, expires }: EditOptions): Promise<void> {
  if (!scope && !expires) {
    throw new UsageError('Nothing to change was named; nothing was changed. Give --scope or --expires.');
  }
  const set = { ...(scope && { scopes: scope }), ...(expires && { expiresAt: expires === NEVER ? null : expires }) };
  const key = viewKey(await editKey((await cli.open()).services, text, set, cli.by));
  cli.out.show(json, key, () => keysText([key]));
}

function dateOrNever(text: string): Date | typeof NEVER {
  return text === NEVER ? NEVER : date(text);
}

function date(text: string): Date {
  const found = new Date(text);
  if (!/^\d{4}-\d{2}-\d{2}/.test(text) || Number.isNaN(found.getTime()))
    throw new InvalidArgumentError('It must be a date such as 2027-01-31.');
  return found;
}

function keysText(keys: readonly ReturnType<typeof viewKey>[]): string {
  return table(
    ['key', 'name', 'role or user', 'scopes', 'last used', 'state'],
    keys.map(({ id, name, role, user, scopes, lastUsedAt, revokedAt, expiresAt }) => [
      id,
      name,
      role ?? user,
      scopes.join(', '),
      lastUsedAt?.toISOString() ?? 'never',
      revokedAt ? 'revoked' : expiresAt ? `until ${expiresAt.toISOString()}` : 'active',
    ]),
  );
}
