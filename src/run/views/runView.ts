import type { RunDoc } from '../../store/models.ts';
import type { Outcome } from '../outcome.ts';

/** One line of a list of runs. */
export interface RunSummary {
  readonly run: string;
  readonly kind: RunDoc['kind'];
  /** The file; of a change by hand, the command. */
  readonly what: string;
  readonly feed: string | null;
  readonly state: RunDoc['state'];
  readonly preview: boolean;
  readonly noChange: boolean;
  readonly memberships: { readonly added: number; readonly removed: number };
  readonly rejected: number;
  readonly by: string;
  readonly createdAt: Date;
  readonly finishedAt: Date | null;
}

export function runSummary(run: RunDoc): RunSummary {
  const outcome = run.outcome as Partial<Outcome> | undefined;
  const manual = run.report as Partial<Outcome> | undefined;
  const { added = 0, removed = 0 } = outcome?.memberships ?? manual?.memberships ?? {};
  return {
    run: run._id,
    kind: run.kind,
    what: run.source.name,
    feed: run.feed,
    state: run.state,
    preview: run.preview,
    noChange: outcome?.noChange ?? false,
    memberships: { added, removed },
    rejected: outcome?.rows?.rejected ?? 0,
    by: run.by,
    createdAt: run.createdAt,
    finishedAt: run.finishedAt,
  };
}
