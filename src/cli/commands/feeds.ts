import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { UsageError } from '../../domain/errors.ts';
import { locate, sourceFile } from '../../feed/sources/file.ts';
import { webhookSecret } from '../../notify/signature.ts';
import { deleteFeed } from '../../run/deleteFeed.ts';
import { releaseFeed } from '../../run/releaseFeed.ts';
import { type FeedSample, sampleFeed } from '../../run/views/feedSample.ts';
import { type FeedView, viewFeed, viewFeeds, viewFeedText } from '../../run/views/feedView.ts';
import { type FeedSettings, readFeedFile } from '../../settings/feed.ts';
import { nameIn, REDACTED, withSecrets } from '../../settings/redact.ts';
import { readFeedDoc, saveFeed, settingsOf } from '../../store/feeds.ts';
import { checkFile } from '../checkFile.ts';
import type { Cli } from '../cli.ts';
import { withoutItsFile } from '../feedFiles.ts';
import { type JsonOption, printsFacts, wholeNumber } from '../options.ts';
import { readText } from '../readText.ts';
import { feedOf } from '../references.ts';
import { count, facts, table } from '../table.ts';

export function addFeeds(program: Command, cli: Cli): void {
  const feeds = program.command('feeds').description('sources of rows: mapping, schedule, policies');

  printsFacts(
    feeds
      .command('list')
      .description('lists the feeds with what they hold and their last runs')
      .action(async ({ json }: JsonOption) => {
        const views = await viewFeeds((await cli.open()).services);
        cli.out.show(json, views, () => listText(views));
      }),
    'muster feeds list',
  );

  printsFacts(
    feeds
      .command('show <feed>')
      .description('shows a feed and its settings')
      .action(async (name: string, { json }: JsonOption) => {
        const { services, store } = await cli.open();
        const doc = await feedOf(store, name);
        const view = await viewFeedText(services, doc);
        cli.out.show(json, view, () => `${feedText(view)}\n\n${view.text}`);
      }),
    'muster feeds show hr',
  );

  printsFacts(
    feeds
      .command('apply <file>')
      .description('creates the feed that a YAML or JSON file describes, or changes it')
      .action((path: string, { json }: JsonOption) => apply(cli, path, json)),
    'muster feeds apply hr.yaml',
  );

  printsFacts(
    feeds
      .command('check <file>')
      .description('says whether a feed file can be used, without saving it')
      .action((path: string, { json }: JsonOption) => checkFile(cli, { path, json, noun: 'feed' }, readFeedFile)),
    'muster feeds check hr.yaml',
  );
  printsFacts(
    feeds
      .command('sample <feed>')
      .description('reads the first rows of a file, and shows how each is understood; nothing is changed')
      .option('--file <file>', "this file in place of the feed's own source")
      .option('--rows <number>', 'so many rows', wholeNumber, 5)
      .action((name: string, options: SampleOptions) => sample(cli, name, options)),
    'muster feeds sample hr --file hr.csv',
  );
  printsFacts(
    feeds
      .command('delete <feed>')
      .description('deletes a feed that holds nothing any more')
      .action((name: string, { json }: JsonOption) => remove(cli, name, json)),
    'muster feeds delete hr',
  );
  printsFacts(
    feeds
      .command('release <feed>')
      .description('lets a feed in quarantine run by itself again, from its next due time on')
      .action((name: string, { json }: JsonOption) => release(cli, name, json)),
    'muster feeds release hr',
  );
  printsFacts(
    feeds
      .command('secret <feed>')
      .description("prints the key with which the receiver of the feed's webhook checks signatures")
      .action((name: string, { json }: JsonOption) => secret(cli, name, json)),
    'muster feeds secret hr',
  );
}

async function release(cli: Cli, name: string, json: boolean | undefined): Promise<void> {
  const { services, store } = await cli.open();
  const view = await viewFeed(services, await releaseFeed(services, await feedOf(store, name), cli.by));
  const next = view.nextDue ? `Its next time is ${view.nextDue.toISOString()}.` : 'It has no schedule.';
  cli.out.show(json, view, () => `Feed ${name} is out of quarantine. ${next}`);
}

async function secret(cli: Cli, name: string, json: boolean | undefined): Promise<void> {
  const { env, store } = await cli.open();
  const own = settingsOf(await feedOf(store, name)).notify?.secret;
  const key = await webhookSecret({ store }, name, own, env.MUSTER_SECRET);
  cli.out.show(json, { name, secret: key }, () => key);
}

interface SampleOptions extends JsonOption {
  readonly file?: string;
  readonly rows: number;
}

async function sample(cli: Cli, name: string, { json, file: path, rows }: SampleOptions): Promise<void> {
  const { services, store } = await cli.open();
  const settings = settingsOf(await feedOf(store, name));
  const file =
    path === undefined ? await locate(settings.source, cli.directory) : await sourceFile(resolve(cli.directory, path));
  const found = await sampleFeed(services, settings, file, rows);
  cli.out.show(json, found, () => sampleText(found));
}

function sampleText({ file, encoding, delimiter, columns, rows }: FeedSample): string {
  const head = facts([
    ['file', file],
    ['encoding', encoding],
    ['delimiter', delimiter === '\t' ? 'tab' : delimiter],
    ['columns', columns.join(', ')],
  ]);
  const lines = rows.map((row) => {
    if ('code' in row) return `Row ${row.row}  rejected, ${row.code}: ${row.message}`;
    const { externalId, email, firstName, lastName, attributes, status, action, groups, window } = row;
    return facts([
      [`Row ${row.row}`, externalId],
      ['  email', email],
      ['  name', [firstName, lastName].filter(Boolean).join(' ')],
      ...Object.entries(attributes).map(([key, value]) => [`  ${key}`, value] as const),
      ['  status', status],
      ['  action', action === 'remove' ? action : ''],
      ['  groups', groups.map(({ group, known }) => (known ? group : `${group} (unknown)`)).join(', ') || 'none'],
      ['  from', window.validFrom?.toISOString()],
      ['  until', window.validUntil?.toISOString()],
    ]);
  });
  return [head, ...lines].join('\n\n');
}

async function remove(cli: Cli, name: string, json: boolean | undefined): Promise<void> {
  const { services, store } = await cli.open();
  await deleteFeed(services, withoutItsFile(feedFilesOf(cli), await feedOf(store, name)));
  cli.out.show(json, { name, deleted: true }, () => `Feed ${name} was deleted.`);
}

function feedFilesOf({ directory }: Cli): string {
  return join(directory, 'config', 'feeds');
}

async function apply(cli: Cli, path: string, json: boolean | undefined): Promise<void> {
  const given = readText(resolve(cli.directory, path));
  // Refused before anything is started or joined.
  if (!given.includes(REDACTED)) readFeedFile(given, path);
  const { services, store } = await cli.open();
  const found = await readFeedDoc(store, nameIn(given) ?? '');
  const stored = found && withoutItsFile(feedFilesOf(cli), found);
  const text = withSecrets(given, stored?.text);
  const settings = readFeedFile(text, path);
  if (stored?.origin === 'file' && stored.text !== text) {
    throw new UsageError(
      `Feed ${settings.name} is a file of config/feeds and is changed there alone; nothing was changed. Edit that file, or give this one another name.`,
    );
  }
  const created = stored?.origin === 'file' ? false : await saveFeed(store, text, settings, 'database');
  const view = await viewFeed(services, await feedOf(store, settings.name));
  const done = created ? 'was created' : stored?.text === text ? 'is as it was' : 'was changed';
  cli.out.show(json, { ...view, created }, () => `Feed ${settings.name} ${done}. Run it: ${commandFor(settings)}`);
}

function commandFor({ name, source }: FeedSettings): string {
  return source.kind === 'upload' ? `muster import FILE --feed ${name}` : `muster run ${name}`;
}

function listText(views: readonly FeedView[]): string {
  if (views.length === 0) return 'No feed yet. Make one: muster feeds apply FILE.yaml';
  const rows = views.map(({ name, mode, source, schedule, held, lastRun, lastDue, nextDue, quarantined }) => [
    name,
    mode,
    sourceText(source),
    schedule.cron ?? 'by hand',
    lastDue ? minute(lastDue.at) : '',
    quarantined ? 'quarantine' : nextDue ? minute(nextDue) : '',
    held.learners,
    held.memberships,
    lastRun ? `${lastRun.run} ${lastRun.state}` : 'none',
  ]);
  return table(
    ['feed', 'mode', 'source', 'schedule', 'last due', 'next due', 'learners', 'memberships', 'last run'],
    rows,
  );
}

function feedText(view: FeedView): string {
  const { name, origin, mode, source, schedule, held, applied, lastRun, lastDue, nextDue, quarantined } = view;
  return facts([
    ['feed', name],
    ['from', origin === 'file' ? 'config/feeds (read-only here)' : origin],
    ['mode', mode],
    ['source', sourceText(source)],
    ['schedule', schedule.cron ? `${schedule.cron} ${schedule.timeZone}` : 'by hand'],
    ['last due', lastDue ? `${lastDue.at.toISOString()}, ${lastDue.run}, ${lastDue.state}` : ''],
    ['next due', nextDue?.toISOString()],
    ['quarantine', quarantined ? `since ${quarantined.at.toISOString()}, run ${quarantined.run}` : ''],
    ['holds', `${count(held.learners)} learners, ${count(held.memberships)} memberships`],
    ['applied', applied ? `${applied.run}, ${applied.at.toISOString()}, ${count(applied.rows)} rows` : 'never'],
    ['last run', lastRun ? `${lastRun.run}, ${lastRun.state}` : 'none'],
  ]);
}

/** 2026-01-20 01:00Z */
function minute(at: Date): string {
  return `${at.toISOString().slice(0, 16).replace('T', ' ')}Z`;
}

function sourceText(source: FeedView['source']): string {
  if (source.kind === 'file') return source.path;
  return source.kind === 'directory' ? `${source.path}/${source.pattern}` : 'upload';
}
