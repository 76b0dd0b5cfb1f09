import { type Command, Option } from 'commander';
import { UsageError } from '../../domain/errors.ts';
import { JOBS, type JobName } from '../../queue/job.ts';
import { drainRun } from '../../run/manual.ts';
import {
  discardItems,
  namedItems,
  newcomerOf,
  type QueueFilter,
  type QueueItem,
  queueItem,
  queueItems,
  type RetryOutcome,
  retryItem,
} from '../../run/retryQueue.ts';
import { type QueueItemView, viewQueue } from '../../run/views/queueView.ts';
import type { Store } from '../../store/store.ts';
import type { Cli } from '../cli.ts';
import { type JsonOption, printsFacts, wholeNumber } from '../options.ts';
import { feedOf, groupOf, learnerOf, runOf } from '../references.ts';
import { count, counted, facts, table } from '../table.ts';

export function addQueue(program: Command, cli: Cli): void {
  const queue = program.command('queue').description('what waits, and what could not be done: look, retry, discard');

  printsFacts(
    filters(queue.command('list').description('lists operations set aside, then batches that failed or wait'))
      .option('--limit <number>', 'at most so many', wholeNumber, 50)
      .action((options: FilterOptions & { limit: number }) => list(cli, options)),
    'muster queue list --error email-held',
    'muster queue list --feed hr --json',
  );
  printsFacts(
    queue
      .command('show <id>')
      .description('shows one of them with its tries')
      .action((id: string, { json }: JsonOption) => show(cli, id, json)),
    'muster queue show r12-1000001-17',
  );
  printsFacts(
    filters(queue.command('retry [id...]').description('tries them again now: some, all of an error, or all'))
      .option('--all', 'everything that is set aside or failed')
      .action((ids: string[], options: FilterOptions & { all?: boolean }) => retry(cli, ids, options)),
    'muster queue retry r12-1000001-17',
    'muster queue retry --error email-held',
  );
  printsFacts(
    queue
      .command('discard <id...>')
      .description(
        'gives operations up: a change is looked at again in the next run of its feed; courses that one was to bring in line stay as they are until `muster verify --repair`',
      )
      .requiredOption('--reason <text>', 'why, for the audit')
      .action((ids: string[], { json, reason }: JsonOption & { reason: string }) => discard(cli, ids, reason, json)),
    'muster queue discard r12-1000001-17 --reason "the same person as 104711"',
  );
  printsFacts(
    queue
      .command('drain')
      .description('does everything that waits, in this process, and ends when nothing waits any more')
      .action(({ json }: JsonOption) => drain(cli, json)),
    'muster queue drain',
  );
}

interface FilterOptions extends JsonOption {
  readonly queue?: JobName;
  readonly run?: string;
  readonly feed?: string;
  readonly learner?: string;
  readonly group?: string;
  readonly error?: string;
}

function filters(command: Command): Command {
  return command
    .addOption(new Option('--queue <queue>', 'of this queue alone').choices(JOBS.filter((name) => name !== 'import')))
    .option('--run <run>', 'of this run alone')
    .option('--feed <name>', 'of this feed alone')
    .option('--learner <learner>', 'of this learner alone')
    .option('--group <group>', 'that concern this group alone')
    .option('--error <code>', 'that failed with this error alone');
}

async function filterOf(store: Store, options: FilterOptions): Promise<QueueFilter> {
  const { queue, run, feed, learner, group, error } = options;
  return {
    ...(queue !== undefined && { queue }),
    ...(run !== undefined && { run: (await runOf(store, run))._id }),
    ...(feed !== undefined && { feed: (await feedOf(store, feed))._id }),
    ...(learner !== undefined && (await whose(store, learner))),
    ...(group !== undefined && { group: (await groupOf(store, group)).id }),
    ...(error !== undefined && { error }),
  };
}

async function whose(store: Store, text: string): Promise<Pick<QueueFilter, 'learner' | 'newcomer'>> {
  const newcomer = await newcomerOf(store, text);
  return newcomer ? { newcomer } : { learner: (await learnerOf(store, text)).id };
}

async function list(cli: Cli, { json, limit, ...options }: FilterOptions & { limit: number }): Promise<void> {
  const muster = await cli.open();
  const { services, store } = muster;
  const found: QueueItem[] = [];
  for await (const item of queueItems(services, await filterOf(store, options))) {
    found.push(item);
    if (found.length > limit) break;
  }
  const shown = found.slice(0, limit);
  const redis = shown.some(({ state }) => state !== 'set-aside')
    ? await muster.queues().catch(() => undefined)
    : undefined;
  const views = await viewQueue(store, redis, shown);
  cli.out.show(json, views, () => (views.length === 0 ? 'Nothing waits, and nothing is set aside.' : itemsText(views)));
  if (found.length > limit) cli.out.say(`There are more than ${limit}: narrow the list, or raise --limit.`);
}

async function show(cli: Cli, id: string, json: boolean | undefined): Promise<void> {
  const muster = await cli.open();
  const { services, store } = muster;
  const item = await queueItem(services, id);
  const redis = item.state === 'set-aside' ? undefined : await muster.queues().catch(() => undefined);
  const [view] = await viewQueue(store, redis, [item]);
  cli.out.show(json, view, () => itemText(view as QueueItemView));
}

function itemsText(items: readonly QueueItemView[]): string {
  return table(
    ['id', 'state', 'queue', 'feed', 'learner', 'groups', 'tries', 'error', 'tried again', 'bullmq'],
    items.map((item) => [
      item.id,
      item.state,
      item.queue,
      item.feed,
      item.learner,
      item.groups.join(', '),
      item.tries,
      item.error?.code,
      nextText(item),
      item.bullmq,
    ]),
  );
}

function nextText({ retryAt }: Pick<QueueItemView, 'retryAt'>): string {
  return retryAt?.toISOString() ?? 'by hand';
}

function itemText(item: QueueItemView): string {
  const head = facts([
    ['id', item.id],
    ['state', item.state],
    ['queue', item.queue],
    ['run', item.run],
    ['feed', item.feed],
    ['learner', item.learner],
    ['groups', item.groups.join(', ')],
    ['since', item.since.toISOString()],
    ['tries', item.tries],
    ['error', item.error && `${item.error.code}: ${item.error.message}`],
    ['tried again', nextText(item)],
    ['bullmq', item.bullmq],
  ]);
  if (item.history.length === 0) return head;
  const rows = item.history.map(({ at, message }) => [at.toISOString(), message]);
  return `${head}\n\n${table(['tried', 'what came of it'], rows)}`;
}

async function retry(cli: Cli, ids: readonly string[], options: FilterOptions & { all?: boolean }): Promise<void> {
  const { json, all, ...rest } = options;
  const { services, store } = await cli.open();
  const filter = await filterOf(store, rest);
  const filtered = Object.keys(filter).length > 0;
  if (Number(ids.length > 0) + Number(filtered || all === true) !== 1) {
    throw new UsageError(
      'Name what to retry by ids, by a filter such as --error CODE, or with --all; nothing was changed.',
    );
  }
  const items = ids.length > 0 ? await namedItems(services, ids) : await failedItems(cli, filter);
  const outcomes: RetryOutcome[] = [];
  for (const item of items) outcomes.push(await retryItem(services, item));
  const done = outcomes.filter((one) => one.done).length;
  cli.out.show(json, { done, outcomes }, () => {
    const failed = outcomes.filter((one) => !one.done).map(({ id, error }) => [id, error?.code, error?.message]);
    const sum = `${counted(done, 'operation')} done, ${count(failed.length)} failed again.`;
    return failed.length === 0 ? sum : `${table(['id', 'error', 'message'], failed)}\n${sum}`;
  });
  if (done < outcomes.length) cli.exit = 1;
}

/** Listed before the first is tried: what fails again is not tried twice. */
async function failedItems(cli: Cli, filter: QueueFilter): Promise<QueueItem[]> {
  const items: QueueItem[] = [];
  for await (const item of queueItems((await cli.open()).services, filter))
    if (item.state !== 'waiting') items.push(item);
  return items;
}

async function discard(cli: Cli, ids: readonly string[], reason: string, json: boolean | undefined): Promise<void> {
  const { services } = await cli.open();
  const discarded = await discardItems(services, ids, { by: cli.by, reason });
  cli.out.show(json, { discarded }, () => `${counted(discarded.length, 'operation')} discarded.`);
}

async function drain(cli: Cli, json: boolean | undefined): Promise<void> {
  const { services, store } = await cli.open();
  let batches = 0;
  for (;;) {
    const next = await store.outbox.findOne({}, { sort: { _id: 1 } });
    if (!next) break;
    const waiting = await store.outbox.countDocuments();
    cli.out.progress(`run ${next._id.run}: ${waiting} batches wait in all`);
    await drainRun(services, next._id.run);
    batches += Math.max(0, waiting - (await store.outbox.countDocuments()));
  }
  const setAside = await store.setAside.countDocuments();
  cli.out.show(json, { batches, setAside }, () => {
    const left = setAside > 0 ? ` ${counted(setAside, 'operation')} set aside: muster queue list` : '';
    return `${count(batches)} batches done; nothing waits.${left}`;
  });
}
