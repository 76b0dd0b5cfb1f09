import type { RunDoc } from '../store/models.ts';
import type { Store } from '../store/store.ts';
import { NO_SUBSCRIPTIONS, type Outcome } from './outcome.ts';

export type RunReport = Awaited<ReturnType<typeof reportOf>>;

/** The report of a run, in the shape that `--json` and the API give it (interface.md, 'The report of a run'). */
export async function reportOf(store: Store, run: RunDoc) {
  const outcome = run.outcome as Partial<Outcome> | undefined;
  const manual = run.report as Partial<Outcome> | undefined;
  const setAside = await store.setAside.countDocuments({ run: run._id });
  return {
    run: run._id,
    feed: run.feed,
    kind: run.kind,
    state: run.state,
    mode: run.mode,
    noChange: outcome?.noChange ?? false,
    preview: run.preview,
    source: { name: run.source.name, bytes: run.source.bytes, sha256: run.source.sha256 },
    rows: outcome?.rows ?? { read: 0, accepted: 0, rejected: 0, repeated: 0 },
    learners: outcome?.learners ?? { created: 0, updated: 0, reactivated: 0, deactivated: 0, unchanged: 0 },
    groups: outcome?.groups ?? { created: 0 },
    memberships: outcome?.memberships ?? manual?.memberships ?? { added: 0, removed: 0, changed: 0, unchanged: 0 },
    subscriptions: outcome?.subscriptions ?? manual?.subscriptions ?? NO_SUBSCRIPTIONS,
    ...(outcome?.approved && { approved: outcome.approved }),
    guard: outcome?.guard ?? { held: false, breaches: [] },
    setAside,
    protected: outcome?.protected ?? { learners: 0, groups: 0 },
    problems: outcome?.problems ?? manual?.problems ?? [],
    ...(run.error && { error: run.error }),
    by: run.by,
    createdAt: run.createdAt,
    startedAt: run.startedAt,
    finishedAt: run.finishedAt,
    stages: run.stages,
    history: run.history,
  };
}
