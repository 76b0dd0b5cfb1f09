import { once } from 'node:events';
import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { withExamples } from '../options.ts';

/** `start` and `worker`: processes that stay until they are told to stop. */
export function addService(program: Command, cli: Cli): void {
  withExamples(
    program
      .command('start')
      .description(
        'runs the worker, on embedded servers where no URI is set; in this version without API, console and scheduler',
      )
      .action(() => serve(cli)),
    'muster start',
  );
  withExamples(
    program
      .command('worker')
      .description('runs the jobs that imports and changes by hand leave in the queue')
      .action(() => serve(cli)),
    'muster worker',
  );
}

/** Works until SIGINT or SIGTERM; then running jobs end, within 10 s, and the process with exit code 0. */
async function serve(cli: Cli): Promise<void> {
  cli.serving = true;
  const muster = await cli.open();
  await muster.work({ imports: true });
  cli.out.say('muster works. Stop it with Ctrl+C.');
  if (!cli.stopping.aborted) await once(cli.stopping, 'abort');
  cli.out.say('muster stops when its running jobs have ended.');
}
