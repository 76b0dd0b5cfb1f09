import type { RunId } from '../domain/ids.ts';
import type { RunState } from '../domain/run.ts';
import type { RunDoc } from '../store/models.ts';
import { readRun } from '../store/runs.ts';
import type { Store } from '../store/store.ts';
import { type Attributes, isTracing, type PastSpan, tellSpans } from '../telemetry/tracing.ts';
import type { Outcome } from './outcome.ts';

/** What a run does in a state; the rest are ends. */
const STAGES: Partial<Record<RunState, string>> = {
  queued: 'wait',
  reading: 'read',
  planned: 'guard',
  held: 'held',
  applying: 'apply',
  reconciling: 'reconcile',
};

/**
 * Sends the spans of a run that has come to rest: its stages since it last rested (was held), and at its end the run.
 * They are made from its history, so that stages of a killed process are in them too.
 */
export async function traceRun(store: Store, id: RunId): Promise<void> {
  if (!isTracing()) return;
  const run = await readRun(store, id);
  if (!run) return;
  const rested = run.history.slice(0, -1).findLastIndex(({ state }) => state === 'held');
  const stages = run.history.slice(Math.max(0, rested)).flatMap((_, at, entries) => stageSpans(run, entries, at));
  tellSpans(run, stages, run.state === 'held' ? undefined : wholeSpan(run));
}

function stageSpans(run: RunDoc, entries: RunDoc['history'], index: number): PastSpan[] {
  const [entry, next] = entries.slice(index, index + 2);
  const name = entry && STAGES[entry.state];
  if (!entry || !next || !name) return [];
  const attributes = { 'muster.run': run._id };
  const span = (part: string, from: Date, to: Date) => ({ name: part, from, to, attributes });
  if (entry.state === 'planned') return [{ ...span(name, entry.at, next.at), attributes: guardOf(run) }];
  if (entry.state !== 'reading' || next.state !== 'planned') return [span(name, entry.at, next.at)];
  const read = run.stages.find((stage) => stage.name === 'read')?.ms ?? 0;
  const planned = new Date(entry.at.getTime() + read);
  return [span('read', entry.at, planned), span('plan', planned, next.at)];
}

function guardOf({ _id, outcome }: RunDoc): Attributes {
  const { guard } = outcome as Outcome;
  const limits = [...new Set(guard.breaches.map(({ limit }) => limit))].join(' ');
  return { 'muster.run': _id, 'muster.held': guard.held, 'muster.breaches': limits };
}

function wholeSpan(run: RunDoc): PastSpan {
  const { rows, memberships } = (run.outcome ?? {}) as Partial<Outcome>;
  return {
    name: 'run',
    from: run.createdAt,
    to: run.finishedAt ?? run.history.at(-1)?.at ?? run.createdAt,
    attributes: {
      'muster.run': run._id,
      'muster.kind': run.kind,
      'muster.state': run.state,
      ...(run.feed !== null && { 'muster.feed': run.feed }),
      ...(rows && { 'muster.rows': rows.read, 'muster.rejected': rows.rejected }),
      ...(memberships && { 'muster.added': memberships.added, 'muster.removed': memberships.removed }),
    },
    error: run.error?.code,
  };
}
