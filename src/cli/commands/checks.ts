import type { Command } from 'commander';
import { digest } from '../../run/digest.ts';
import { verify } from '../../run/verify.ts';
import { viewVerification } from '../../run/views/verificationView.ts';
import type { ChainState } from '../../store/auditChain.ts';
import type { Cli } from '../cli.ts';
import { type JsonOption, printsFacts } from '../options.ts';
import { count, counted, table } from '../table.ts';

/** `digest` and `verify`: what the facts come to, and whether they agree with the rules. */
export function addChecks(program: Command, cli: Cli): void {
  printsFacts(
    program
      .command('digest')
      .description('prints one SHA-256 over all facts: equal facts, equal digest')
      .action(async ({ json }: JsonOption) => {
        const sum = await digest((await cli.open()).store);
        cli.out.show(json, { digest: sum }, () => sum);
      }),
    'muster digest',
  );
  printsFacts(
    program
      .command('verify')
      .description('compares what is stored with what the rules derive from it; exit code 3 where they differ')
      .option('--repair', 'bring what differs in line')
      .action((options: JsonOption & { repair?: boolean }) => check(cli, options)),
    'muster verify',
    'muster verify --repair',
  );
}

async function check(cli: Cli, { json, repair = false }: JsonOption & { repair?: boolean }): Promise<void> {
  const { services } = await cli.open();
  const view = await viewVerification(services, await verify(services, { repair }));
  const { learners, drift, repaired, audit } = view;
  cli.out.show(json, view, () => {
    const chain = chainText(audit);
    if (view.drift.length === 0)
      return `${counted(learners, 'learner')}: what is stored is what the rules derive.\n${chain}`;
    const rows = view.drift.slice(0, SHOWN).map((one) => [one.learner, one.course, one.found, one.expected]);
    const more = view.drift.length > SHOWN ? `\n… and ${count(view.drift.length - SHOWN)} more (--json lists all)` : '';
    const next = repair ? `Repaired: ${counted(repaired, 'learner')}.` : 'Repair it: muster verify --repair';
    return `${table(['learner', 'course', 'found', 'expected'], rows)}${more}\n${counted(view.drift.length, 'difference')} in ${counted(learners, 'learner')}. ${next}\n${chain}`;
  });
  if (drift.length > 0 || audit.breaks.length > 0) cli.exit = 3;
}

function chainText({ sealed, head, breaks }: ChainState): string {
  if (breaks.length === 0) return `Audit: ${count(sealed)} sealed entries are whole${head ? `; head ${head}` : ''}.`;
  const rows = breaks.slice(0, SHOWN).map(({ seq, what, entry }) => [seq, what, entry]);
  return `Audit: the chain of ${count(sealed)} entries is broken at ${counted(breaks.length, 'place')}.\n${table(['entry', 'what', 'run/batch/step'], rows)}`;
}

const SHOWN = 50;
