import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { UsageError } from '../../domain/errors.ts';
import { sourceFile, spool } from '../../feed/sources/file.ts';
import { requestRun } from '../../run/request.ts';
import { type FeedSettings, readFeedFile } from '../../settings/feed.ts';
import { readFeedDoc, saveFeed, settingsOf } from '../../store/feeds.ts';
import type { FeedDoc } from '../../store/models.ts';
import type { Cli } from '../cli.ts';
import { drive, resumeInterrupted, showRun } from '../driving.ts';
import { type JsonOption, printsFacts } from '../options.ts';
import { readText } from '../readText.ts';
import { feedOf } from '../references.ts';

interface ImportOptions extends JsonOption {
  readonly feed?: string;
  readonly mapping?: string;
  readonly preview?: boolean;
  readonly approve?: boolean;
  readonly strict?: boolean;
}

export function addImport(program: Command, cli: Cli): void {
  const command = program
    .command('import <file>')
    .description('runs a feed over a file, now, and prints the report; - reads standard input')
    .option('--feed <name>', 'the feed whose mapping reads the file')
    .option('--mapping <file>', 'a feed file instead of --feed, for this time only')
    .option('--preview', 'stop at the plan; nothing is changed')
    .option('--approve', 'let the plan pass the guard')
    .option('--strict', 'exit code 4 where rows were rejected')
    .action((file: string, options: ImportOptions) => importFile(cli, file, options));
  printsFacts(
    command,
    'muster import hr.csv --feed hr',
    'muster import hr.csv --feed hr --preview',
    'muster import - --feed hr < hr.csv',
  );
}

async function importFile(cli: Cli, path: string, options: ImportOptions): Promise<void> {
  const { preview = false, approve = false } = options;
  if ((options.feed === undefined) === (options.mapping === undefined)) {
    throw new UsageError(
      'Name the feed with --feed NAME, or its mapping with --mapping FILE.yaml (one of the two); nothing was imported.',
    );
  }
  const { services, store, env } = await cli.open();
  const mapping = options.feed === undefined ? await mappingOf(cli, options.mapping as string) : undefined;
  const named = options.feed === undefined ? undefined : await feedOf(store, options.feed);
  const file =
    path === '-'
      ? await spool(cli.stdin, join(resolve(cli.directory, env.MUSTER_DATA), 'spool'))
      : await sourceFile(resolve(cli.directory, path));
  const feed = named ?? (await oneOffFeed(cli, mapping as Mapping, preview));
  if (!preview) await resumeInterrupted(cli, feed._id);
  const requested = await requestRun(services, {
    feed: feed._id,
    mode: (mapping?.settings ?? settingsOf(feed)).mode,
    preview,
    approve,
    by: cli.by,
    ...(mapping && preview && { settings: mapping.text }),
    source: { name: file.name, path: file.path, bytes: file.bytes, ...(path === '-' && { temporary: true }) },
  });
  await showRun(cli, await drive(cli, requested, file), options);
}

interface Mapping {
  readonly text: string;
  readonly settings: FeedSettings;
}

async function mappingOf(cli: Cli, path: string): Promise<Mapping> {
  const { store } = await cli.open();
  const text = readText(resolve(cli.directory, path));
  const settings = readFeedFile(text, path);
  const stored = await readFeedDoc(store, settings.name);
  if (stored && stored.origin !== 'one-off') {
    throw new UsageError(
      `Feed ${settings.name} exists with settings of its own; nothing was imported. Use --feed ${settings.name}, or give the mapping another name.`,
    );
  }
  return { text, settings };
}

/** A feed that exists for what it holds alone: nobody schedules or lists it. A preview leaves one that is there as it is. */
async function oneOffFeed(cli: Cli, { text, settings }: Mapping, preview: boolean): Promise<FeedDoc> {
  const { store } = await cli.open();
  const stored = await readFeedDoc(store, settings.name);
  if (!preview || !stored) await saveFeed(store, text, settings, 'one-off');
  return feedOf(store, settings.name);
}
