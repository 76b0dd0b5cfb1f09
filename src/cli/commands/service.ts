import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { withExamples } from '../options.ts';
import { serveUntilStopped, startApi, startMetrics } from './api.ts';

/** `start` and `worker`: processes that stay until they are told to stop. */
export function addService(program: Command, cli: Cli): void {
  withExamples(
    program
      .command('start')
      .description('runs the API, the schedule and the worker in one process, on embedded servers where no URI is set')
      .action(() => serve(cli, { api: true })),
    'muster start',
  );
  withExamples(
    program
      .command('worker')
      .description('runs feeds when they are due, and the jobs that imports and changes by hand leave in the queue')
      .action(() => serve(cli, { api: false })),
    'muster worker',
  );
}

/** Works until SIGINT or SIGTERM; then running jobs end, within 10 s, and the process with exit code 0. */
async function serve(cli: Cli, { api }: { api: boolean }): Promise<void> {
  cli.serving = true;
  const muster = await cli.open();
  await muster.work({ imports: true });
  const starts = api ? [startApi, startMetrics] : [startMetrics];
  await serveUntilStopped(cli, starts, () => cli.out.say('muster works. Stop it with Ctrl+C.'));
  cli.out.say('muster stops when its running jobs have ended.');
}
