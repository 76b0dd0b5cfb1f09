import type { SourceFile } from '../feed/sources/file.ts';
import { dropCopies } from '../run/copies.ts';
import { type Drive, driveRun, fileOf, interruptedRun } from '../run/drive.ts';
import { type RunReport, reportOf } from '../run/report.ts';
import { tellRuns } from '../run/tell.ts';
import { readFeedDoc } from '../store/feeds.ts';
import type { RunDoc } from '../store/models.ts';
import type { Cli } from './cli.ts';
import type { JsonOption } from './options.ts';
import { runText } from './runText.ts';

/** Runs whose copies of standard input are looked at when a run has ended. */
const COPIES = 100;

/** Takes a run to its end in this process, with words about how far it has come. */
export async function drive(cli: Cli, run: RunDoc, file?: SourceFile): Promise<RunDoc> {
  const muster = await cli.open();
  const order: Drive = {
    services: muster.services,
    queues: () => muster.queues(),
    work: () => muster.work(),
    progress: ({ _id, state, batches = 0 }, left) =>
      cli.out.progress(`run ${_id}: ${state}, ${Math.max(0, batches - left)} of ${batches} batches done`),
    waiting: ({ _id, state }) => cli.out.say(`Run ${run._id} waits: run ${_id} of feed ${run.feed} is ${state}.`),
    signal: cli.stopping,
  };
  const ended = await driveRun(order, run, file);
  // For whoever looks next; where it cannot be written now, the next sweep of a worker does it.
  await tellRuns(muster.services).catch(() => undefined);
  await dropCopies(muster.store, COPIES, run.feed ?? undefined).catch(() => undefined);
  return ended;
}

/** Takes a run to its end that was begun elsewhere: its file is where it was, or is that of the feed's own source. */
export async function driveOn(cli: Cli, run: RunDoc): Promise<RunDoc> {
  const { store } = await cli.open();
  const feed = run.feed === null ? null : await readFeedDoc(store, run.feed);
  const file = feed ? await fileOf(run, feed, cli.directory).catch(() => undefined) : undefined;
  return drive(cli, run, file);
}

/** A run of the feed that was killed goes on first, to its end. */
export async function resumeInterrupted(cli: Cli, feed: string): Promise<void> {
  const { services } = await cli.open();
  const run = await interruptedRun(services, feed);
  if (!run) return;
  cli.out.say(`Run ${run._id} of feed ${feed} was interrupted while ${run.state}; it goes on first.`);
  const ended = await driveOn(cli, run);
  cli.out.say(`Run ${run._id}: ${ended.state}.`);
}

/** Prints the report of a run. */
export async function showReport(cli: Cli, run: RunDoc, json: boolean | undefined): Promise<RunReport> {
  const { store } = await cli.open();
  const report = await reportOf(store, run);
  cli.out.show(json, report, () => runText(report));
  return report;
}

/** Prints the report of a run that this command made, and ends with the exit code that goes with it. */
export async function showRun(
  cli: Cli,
  run: RunDoc,
  { json, strict }: JsonOption & { strict?: boolean },
): Promise<void> {
  const { rows } = await showReport(cli, run, json);
  if (run.state === 'held') cli.exit = 3;
  else if (run.state === 'failed' || run.state === 'cancelled') cli.exit = 1;
  else if (strict && rows.rejected > 0) cli.exit = 4;
}
