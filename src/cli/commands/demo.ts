import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import type { Command } from 'commander';
import { UsageError } from '../../domain/errors.ts';
import { reportOf } from '../../run/report.ts';
import type { Cli } from '../cli.ts';
import { showReport } from '../driving.ts';
import { EXAMPLE_LEARNERS, importNight, makeExample } from '../example.ts';
import { type JsonOption, printsFacts, withExamples } from '../options.ts';
import { count } from '../table.ts';

const WEEK = 7;

export function addDemo(program: Command, cli: Cli): void {
  printsFacts(
    program
      .command('demo')
      .description('loads the example environment into an empty one: groups, courses, learners, a feed, a week of runs')
      .action(({ json }: JsonOption) => demo(cli, json)),
    'muster demo',
  );
  withExamples(
    program
      .command('quickstart')
      .description('shows what Muster does: an example environment, and two nights of an HR feed')
      .action(() => quickstart(cli)),
    'npm run quickstart',
  );
}

async function demo(cli: Cli, json: boolean | undefined): Promise<void> {
  const { store, env } = await cli.open();
  await refuseInhabited(cli);
  const file = join(resolve(cli.directory, env.MUSTER_DATA), 'example', 'hr.csv');
  const company = await makeExample(cli, file);
  const reports = [];
  for (let night = 1; night <= WEEK; night += 1) {
    const run = await importNight(cli, company, night, file);
    const report = await reportOf(store, run);
    cli.out.say(
      `Night ${night}: run ${run._id} ${run.state}, ${report.memberships.added} memberships added, ${report.memberships.removed} removed.`,
    );
    reports.push({ night, run: run._id, state: run.state });
  }
  const view = {
    learners: await store.learners.countDocuments(),
    groups: company.groups.length,
    courses: company.courses.length,
    runs: reports,
  };
  cli.out.show(
    json,
    view,
    () =>
      `${count(view.learners)} learners, ${view.groups} groups, ${view.courses} courses. Look around: muster groups tree`,
  );
}

async function refuseInhabited(cli: Cli): Promise<void> {
  const { store } = await cli.open();
  if ((await store.learners.findOne({})) || (await store.groups.findOne({}))) {
    throw new UsageError(
      'This environment has learners or groups, and the example would mix with them; nothing was changed. Set MUSTER_DATA to a new directory, or MONGODB_URI to an empty database.',
    );
  }
}

async function quickstart(cli: Cli): Promise<void> {
  const own = cli.env.MUSTER_DATA || cli.env.MONGODB_URI;
  const data = cli.env.MUSTER_DATA ?? mkdtempSync(join(tmpdir(), 'muster-quickstart-'));
  if (!own) cli.env.MUSTER_DATA = data;
  cli.out.say("Starting MongoDB and Redis of Muster's own, as no URI is set …");
  const { services } = await cli.open();
  await refuseInhabited(cli);
  const file = join(resolve(cli.directory, data), 'example', 'hr.csv');

  cli.out.say(`Creating an example environment in ${data} …`);
  const company = await makeExample(cli, file);
  cli.out.show(
    false,
    undefined,
    () => `An example company: ${company.groups.length} groups, ${company.courses.length} courses, a feed \`hr\`.\n`,
  );
  cli.out.say(`Night 1: writing and importing the HR department's file of ${count(EXAMPLE_LEARNERS)} learners …`);
  await showReport(cli, await importNight(cli, company, 1, file), false);
  cli.out.say('\nNight 2: some join, some leave, some move to another department …');
  const second = await importNight(cli, company, 2, file);
  await showReport(cli, second, false);
  services.log.debug('quickstart done');
  cli.out.show(false, undefined, () => nextText(cli, data, second._id, file));
}

function nextText(cli: Cli, data: string, run: string, file: string): string {
  const set = `MUSTER_DATA=${data} npx muster`;
  const from = relative(cli.directory, file).startsWith('..') ? file : relative(cli.directory, file);
  return [
    '',
    'That was it; the servers stop now. What to try next:',
    `  ${set} runs changes ${run}          each learner's before and after`,
    `  ${set} groups tree                the groups and their courses`,
    `  ${set} learners list --limit 5    then: learners show ID`,
    `  ${set} import ${from} --feed hr    the same file again: no change`,
    `  head -n 100 ${from} > half.csv && ${set} import half.csv --feed hr    half a file: held`,
  ].join('\n');
}
