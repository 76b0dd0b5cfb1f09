import { explain } from '../domain/guard.ts';
import type { RunReport } from '../run/report.ts';
import { count, facts, printable } from './table.ts';

/** The report of a run for a person: what changed, what is wrong, and what to type next. */
export function runText(report: RunReport): string {
  const { run, feed, state, source, rows, learners, groups, memberships, subscriptions } = report;
  const of = report.kind === 'feed' ? `of feed ${feed}` : `(${report.kind})`;
  const what = report.preview
    ? 'preview, nothing was changed'
    : report.noChange && state === 'completed'
      ? 'no change'
      : state;
  const seconds = durationOf(report);
  const head = `Run ${run} ${of}: ${what}${seconds === undefined ? '' : `, ${seconds} s`}`;
  const unread = state === 'failed' || state === 'queued' || state === 'cancelled';
  const figures =
    unread && rows.read === 0
      ? []
      : ([
          ['source', report.kind === 'feed' ? `${source.name}, ${count(source.bytes)} bytes` : source.name],
          ['rows', report.kind === 'feed' ? listed(rows) : ''],
          ['learners', report.kind === 'feed' ? listed(learners) : ''],
          ['groups', groups.created > 0 ? listed(groups) : ''],
          ['memberships', listed(memberships)],
          ['subscriptions', report.preview || state !== 'held' ? listed({ ...subscriptions }) : ''],
          ['protected', report.protected.learners + report.protected.groups > 0 ? listed(report.protected) : ''],
          ['set aside', report.setAside > 0 ? `${count(report.setAside)}; they are tried again` : ''],
        ] as const);
  return [
    head,
    indent(facts(figures)),
    report.error ? indent(`${report.error.code}: ${report.error.message}`) : '',
    problemsText(report),
    guardText(report),
  ]
    .filter((part) => part.trim() !== '')
    .join('\n');
}

function problemsText({ run, problems, rows }: RunReport): string {
  if (problems.length === 0) return '';
  const lines = problems.map(({ row, code, message, count: times }) => {
    const where = row === null ? '' : times === 1 ? `, row ${row}` : `, first in row ${row}`;
    return `  ${count(times)} × ${code}${where}: ${printable(message)}`;
  });
  const all =
    rows.rejected > 0
      ? [`  All rejected rows, to mend and feed in again: muster runs rejected ${run} > rejected.csv`]
      : [];
  return ['Problems', ...lines, ...all].join('\n');
}

function guardText({ run, feed, state, guard, preview }: RunReport): string {
  if (!guard.held) return '';
  const reasons = reasonsOf(guard.breaches, feed ?? undefined);
  if (preview) return ['The guard would hold it:', ...reasons].join('\n');
  if (state !== 'held') return ['The guard found:', ...reasons].join('\n');
  return [
    'Held by the guard; nothing was applied:',
    ...reasons,
    `  Look at it: muster runs changes ${run}`,
    `  Apply it:   muster runs approve ${run}`,
    `  Drop it:    muster runs reject ${run}`,
  ].join('\n');
}

/** Groups that one limit is broken by, each by itself, are told up to this many. */
const GROUPS_TOLD = 5;

function reasonsOf(breaches: RunReport['guard']['breaches'], feed: string | undefined): string[] {
  const groups = breaches.filter(({ limit }) => limit === 'groupRemovedPercent');
  const untold = new Set([...groups].sort((a, b) => b.value - a.value).slice(GROUPS_TOLD));
  const reasons = breaches.filter((breach) => !untold.has(breach)).map((breach) => `  ${explain(breach, feed)}`);
  return untold.size > 0 ? [...reasons, `  … and ${count(untold.size)} groups more, as --json lists them.`] : reasons;
}

/** `12 created, 3 updated`; figures of 0 are left out, all of them = `none`. */
export function listed(figures: Readonly<Record<string, number>>): string {
  const present = Object.entries(figures).filter(([, figure]) => figure > 0);
  return present.map(([name, figure]) => `${count(figure)} ${name}`).join(', ') || 'none';
}

function durationOf({ startedAt, finishedAt }: RunReport): string | undefined {
  if (!startedAt || !finishedAt) return undefined;
  return ((finishedAt.getTime() - startedAt.getTime()) / 1000).toFixed(1);
}

function indent(text: string): string {
  return text.replace(/^(?=.)/gm, '  ');
}
