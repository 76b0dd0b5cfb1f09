import type { Change, MembershipChange } from './change.ts';
import type { LearnerId } from './ids.ts';
import { covers, unite } from './window.ts';

/** The part of a held plan that a person approves; the rest is left to the next run. */
export type PlanPart =
  | { readonly kind: 'without-removals' }
  | { readonly kind: 'only'; readonly rows: ReadonlySet<number> }
  | { readonly kind: 'except'; readonly learners: ReadonlySet<LearnerId> };

/** What of one change lies in the part; null = nothing. The very same object where all of it does. */
export function partOf(change: Change, part: PlanPart): Change | null {
  if (part.kind === 'without-removals') return withoutRemovals(change);
  if (part.kind === 'except') return part.learners.has(change.learner) ? null : change;
  return change.rows?.some((row) => part.rows.has(row)) ? change : null;
}

/** Nobody leaves a group, gets a shorter window, becomes inactive, or is let go. */
function withoutRemovals(change: Change): Change | null {
  const { hold, ...rest } = change;
  const memberships = change.memberships.filter((one) => !takesAway(one));
  const fields = change.fields.filter(({ field, after }) => field !== 'status' || after !== 'inactive');
  const letsGo = hold !== undefined && (hold.after === null || hold.after.leftAt !== undefined);
  if (memberships.length === change.memberships.length && fields.length === change.fields.length && !letsGo)
    return change;
  if (memberships.length === 0 && fields.length === 0 && (letsGo || !hold)) return null;
  return { ...rest, memberships, fields, ...(hold && !letsGo && { hold }) };
}

function takesAway({ before, after }: MembershipChange): boolean {
  return !covers(unite(after), unite(before));
}
