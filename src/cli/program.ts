import { Command, CommanderError } from 'commander';
import { MusterError } from '../domain/errors.ts';
import { isTransient } from '../store/failures.ts';
import { Cli, type CliOptions } from './cli.ts';
import { COMMANDS } from './commands/all.ts';
import { Interrupted } from './interrupted.ts';
import { withExamples } from './options.ts';
import type { Streams } from './output.ts';
import { unreachable } from './unreachable.ts';
import { version } from './version.ts';

/**
 * Runs one command to its end and gives its exit code: 0 done (also 'no change'), 1 failed, 2 wrong usage or
 * configuration, 3 held or drift, 4 rows rejected under --strict, 130 interrupted.
 */
export async function main(argv: readonly string[], streams: Streams, options: CliOptions = {}): Promise<number> {
  const cli = new Cli(streams, options);
  try {
    await cli.untilStopped(programOf(cli).parseAsync([...argv], { from: 'user' }));
    return cli.exit;
  } catch (error) {
    return exitOf(error, cli);
  } finally {
    await cli.close();
  }
}

/** Of commands that stand for several. */
const EXAMPLES: Readonly<Record<string, string>> = {
  feeds: 'muster feeds list',
  runs: 'muster runs list',
  groups: 'muster groups tree',
  learners: 'muster learners show 000123',
  courses: 'muster courses list',
  progress: 'muster progress show 000123',
  queue: 'muster queue list',
  reports: 'muster reports run "Expired this month" > expired.csv',
  export: 'muster export learners --format csv > learners.csv',
  subenvironments: 'muster subenvironments list',
  users: 'muster users list',
  keys: 'muster keys list',
};

function programOf(cli: Cli): Command {
  const program = new Command('muster');
  const { stdout, stderr } = cli.out.streams;
  program
    .description("Keeps an LMS's learner groups and course subscriptions true to HR.")
    .version(version(), '-V, --version', 'prints the version')
    .helpOption('-h, --help', 'prints this help')
    .helpCommand(false)
    .exitOverride()
    .showSuggestionAfterError()
    .configureOutput({
      writeOut: (text) => void stdout.write(text),
      writeErr: (text) => void stderr.write(text),
      outputError: (text, write) => write(text.replace(/^error: /, 'muster: ')),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .addHelpText(
      'after',
      `
Wherever a command takes a LEARNER, GROUP or COURSE, it is the External ID, id:N, or (learner) the e-mail address.
With --json, standard output holds one JSON document, or nothing where the command fails; words go to standard error.
Example: muster import hr.csv --feed hr
Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 held or drift found, 4 rejected under --strict, 130 interrupted.`,
    );
  for (const add of COMMANDS) add(program, cli);
  for (const group of program.commands) {
    const example = EXAMPLES[group.name()];
    if (example) withExamples(group, example);
  }
  return program;
}

function exitOf(thrown: unknown, cli: Cli): number {
  const isAway = !cli.stopping.aborted && isTransient(thrown);
  const error = isAway ? unreachable('MongoDB', cli.env.MONGODB_URI && 'MONGODB_URI', thrown) : thrown;
  if (error instanceof CommanderError) {
    const harmless = ['commander.helpDisplayed', 'commander.version'].includes(error.code);
    return harmless ? 0 : 2;
  }
  if (error instanceof Interrupted && cli.stopping.reason === 'EPIPE') return 0;
  if (error instanceof MusterError) {
    cli.out.say(`muster: ${error.message}`);
    return error.exit;
  }
  if (cli.stopping.aborted) return 130;
  const { message, stack } = error as Error;
  cli.out.say(`muster: ${message}`);
  if (cli.env.LOG_LEVEL === 'debug' || cli.env.LOG_LEVEL === 'trace') cli.out.say(stack ?? '');
  else
    cli.out.say(
      'This was not foreseen. `muster doctor` looks at the servers; LOG_LEVEL=debug shows where it happened.',
    );
  return 1;
}
