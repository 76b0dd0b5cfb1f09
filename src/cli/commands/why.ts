import type { Command } from 'commander';
import { type GroupReason, type Origin, type Why, whyCourse } from '../../run/why.ts';
import type { Cli } from '../cli.ts';
import { type JsonOption, printsFacts } from '../options.ts';
import { courseOf, learnerOf } from '../references.ts';
import { printable } from '../table.ts';
import { sourceText } from './groups.ts';

/** `learners why`: why a learner has a course, or has it no more. */
export function addWhy(learners: Command, cli: Cli): void {
  printsFacts(
    learners
      .command('why <learner> <course>')
      .description('the chain of reasons why a learner has a course, or has it no more')
      .action((learner: string, course: string, { json }: JsonOption) => why(cli, learner, course, json)),
    'muster learners why 104711 safety',
  );
}

async function why(cli: Cli, learner: string, course: string, json: boolean | undefined): Promise<void> {
  const { services, store } = await cli.open();
  const found = await whyCourse(services, (await learnerOf(store, learner)).id, (await courseOf(store, course)).id);
  cli.out.show(json, found, () => whyText(found).map(printable).join('\n'));
}

function whyText({ learner, course, subscription, last, groups, grant }: Why): string[] {
  const head = subscription
    ? `${learner} has ${course}: ${subscription.status} since ${subscription.since.toISOString()}`
    : `${learner} does not have ${course}`;
  const reasons = [
    ...groups.flatMap(groupLines),
    ...(subscription?.direct ? [`  a direct grant gives it${grant ? `: ${originText(grant)}` : ''}`] : []),
  ];
  return [
    head,
    ...(last ? [`  ${last.event} by ${originText(last)}`] : []),
    ...(reasons.length > 0 ? reasons : ['  no group and no direct grant gives it']),
  ];
}

function groupLines({ path, link, sources }: GroupReason): string[] {
  const giver = path.at(-1);
  return [
    `  ${giver} gives it${link ? `, linked by ${originText(link)}` : ''}`,
    ...(path.length > 1 ? [`    ← ${path.toReversed().join(' ← ')}`] : []),
    ...sources.map((source) => {
      const valid = source.open ? '' : ', not valid now';
      return `    ← member of ${path[0]}, held by ${sourceText(source)}${valid}${source.since ? `: ${originText(source.since)}` : ''}`;
    }),
  ];
}

function originText({ at, by, why: reason, run, rows }: Origin): string {
  return `${reason} (${run}${rows.length > 0 ? `, row ${rows.join(', ')}` : ''}) by ${by} at ${at.toISOString()}`;
}
