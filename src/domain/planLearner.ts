import { sameHold } from './applyChange.ts';
import type { Change, FieldChange, MembershipChange } from './change.ts';
import type { Claim } from './claim.ts';
import type { GroupId, LearnerId, SourceName } from './ids.ts';
import type { FeedHold, Identity, Learner, Window } from './learner.ts';
import type { FeedPolicy } from './policy.ts';
import { covers, isOpen, sameWindows, window } from './window.ts';

export interface PlanInput {
  readonly policy: FeedPolicy;
  /** The stored learner; undefined where the claim makes a new one. */
  readonly live: Learner | undefined;
  /** What the feed says; null = it no longer names the learner (R20). */
  readonly claim: Claim | null;
  /** Id for a learner that is to be created. */
  readonly newId: LearnerId | undefined;
  readonly now: Date;
  /** A rejected row names the learner: nothing is taken away (R15). */
  readonly protectedLearner: boolean;
  /** Groups that rejected rows name: nobody is taken out of them (R15). */
  readonly protectedGroups: ReadonlySet<GroupId>;
}

export interface LearnerPlan {
  /** Null: what is stored is what the feed says (R17). */
  readonly change: Change | null;
  /** A removal was left out because of a rejected row; the next run must look again. */
  readonly shielded: boolean;
  /** The learner has left and its grace days still run; the next run must look again (R20). */
  readonly graceRuns: boolean;
}

/** The learner stays as is, and nothing has to be looked at again. */
export const NOTHING_PLANNED: LearnerPlan = { change: null, shielded: false, graceRuns: false };

/**
 * What one feed changes for one learner: claimed against live, own sources only (R14). Pure; planning what has
 * been applied gives `change: null` (R17).
 */
export function planLearner(input: PlanInput): LearnerPlan {
  const { claim, live, policy } = input;
  if (!live) return planCreation(input);
  const left = claim === null || claim.status === 'left';
  if (left && !isHeldBy(live, policy.feed)) return NOTHING_PLANNED;
  const hold = live.holds.find((one) => one.feed === policy.feed) ?? null;
  const shieldedLeaver = left && input.protectedLearner;
  const leftAt = left ? (hold?.leftAt ?? input.now) : undefined;
  const graceRuns =
    left && !shieldedLeaver && input.now.getTime() < (leftAt as Date).getTime() + policy.leaver.graceDays * DAY;
  const leaves = left && !shieldedLeaver && !graceRuns;

  const { memberships, shielded } = planMemberships(input, live, left, leaves);
  const holdAfter = shieldedLeaver
    ? hold
    : holdOf(policy.feed, hold, leftAt, claim !== null && !removesOnly(claim, policy));
  const fields = claim ? fieldChanges(live, claim, input) : [];
  const status = statusAfter(input, live, holdAfter, memberships, leaves);
  if (status !== live.status) fields.push({ field: 'status', before: live.status, after: status });

  const holdStays = hold === holdAfter || (hold !== null && holdAfter !== null && sameHold(hold, holdAfter));
  const nothing = fields.length === 0 && memberships.length === 0 && holdStays;
  return {
    change: nothing
      ? null
      : {
          learner: live.id,
          revision: live.revision,
          fields,
          memberships,
          ...(!holdStays && { hold: { before: hold, after: holdAfter } }),
          ...(claim && { rows: claim.rows }),
        },
    shielded: shielded || (shieldedLeaver && hold?.leftAt === undefined),
    graceRuns,
  };
}

const DAY = 86_400_000;

/** Whether the feed names (or named) the learner, or holds a membership: it has nothing to take from anybody else. */
export function isHeldBy({ holds, memberships }: Learner, feed: SourceName): boolean {
  return (
    holds.some((hold) => hold.feed === feed) ||
    memberships.some(({ sources }) => sources.some(({ source }) => source === feed))
  );
}

function planCreation({ claim, policy, newId }: PlanInput): LearnerPlan {
  if (!claim || claim.status === 'left' || newId === undefined) return NOTHING_PLANNED;
  if (removesOnly(claim, policy)) return NOTHING_PLANNED;
  const create: Identity = {
    externalId: claim.externalId,
    ...(claim.email && { email: claim.email }),
    ...(claim.firstName && { firstName: claim.firstName }),
    ...(claim.lastName && { lastName: claim.lastName }),
    status: 'active',
    attributes: Object.fromEntries(Object.entries(claim.attributes).filter(([, value]) => value !== '')),
  };
  const memberships = claim.groups
    .filter(({ windows }) => windows.length > 0)
    .map(({ group, windows }) => ({ group, source: policy.feed, before: [], after: windows }));
  const hold = { before: null, after: { feed: policy.feed, created: true } };
  return {
    ...NOTHING_PLANNED,
    change: { learner: newId, revision: 0, create, fields: [], memberships, hold, rows: claim.rows },
  };
}

function planMemberships(
  { claim, policy, now, protectedLearner, protectedGroups }: PlanInput,
  live: Learner,
  left: boolean,
  leaves: boolean,
): { memberships: MembershipChange[]; shielded: boolean } {
  const memberships: MembershipChange[] = [];
  let shielded = false;
  const own = new Map<GroupId, Window[]>();
  for (const { group, sources } of live.memberships) {
    const windows = sources
      .filter(({ source }) => source === policy.feed)
      .map(({ from, until }) => window(from, until));
    if (windows.length > 0) own.set(group, windows);
  }
  const wanted = new Map<GroupId, readonly Window[]>();
  if (!left) for (const { group, windows } of claim?.groups ?? []) wanted.set(group, windows);

  for (const [group, after] of wanted) {
    const before = own.get(group) ?? [];
    if (sameWindows(before, after)) continue;
    if ((protectedLearner || protectedGroups.has(group)) && !covers(after, before)) {
      shielded = true;
      continue;
    }
    const closes = before.some((one) => isOpen(one, now)) && !after.some((one) => isOpen(one, now));
    memberships.push({ group, source: policy.feed, before, after, ...(closes && { courses: policy.moved.courses }) });
  }
  const gone = left
    ? leaves
      ? [...own.keys()]
      : []
    : policy.mode === 'full'
      ? [...own.keys()].filter((group) => !wanted.has(group))
      : (claim?.removed ?? []).filter((group) => own.has(group));
  for (const group of gone) {
    if (protectedLearner || protectedGroups.has(group)) {
      shielded = true;
      continue;
    }
    const courses = left ? policy.leaver.courses : policy.moved.courses;
    memberships.push({ group, source: policy.feed, before: own.get(group) as Window[], after: [], courses });
  }
  return { memberships: memberships.sort((a, b) => a.group - b.group), shielded };
}

/** The feed's hold afterwards. Who is not named, or only to be removed, does not come to be held. */
function holdOf(feed: string, hold: FeedHold | null, leftAt: Date | undefined, named: boolean): FeedHold | null {
  if (!named && !hold) return null;
  return { feed, ...(hold?.created && { created: true }), ...(leftAt && { leftAt }) };
}

/**
 * Inactive once a leaver is held by nothing else, where this feed or one that the learner has left before made the
 * learner, so that the order in which feeds let go does not matter; active while the feed names the learner (R20).
 */
function statusAfter(
  { policy, claim }: PlanInput,
  live: Learner,
  hold: FeedHold | null,
  changes: readonly MembershipChange[],
  leaves: boolean,
): Learner['status'] {
  if (!leaves) return claim?.status === 'active' && !removesOnly(claim, policy) ? 'active' : live.status;
  const created = hold?.created ?? live.holds.some((one) => one.created && one.leftAt !== undefined);
  if (!created) return live.status;
  const heldByOther =
    live.memberships.some(({ sources }) => sources.some(({ source }) => source !== policy.feed)) ||
    live.holds.some((one) => one.feed !== policy.feed && one.leftAt === undefined);
  const stillOwn = live.memberships.some(
    ({ group, sources }) =>
      sources.some(({ source }) => source === policy.feed) &&
      !changes.some((change) => change.group === group && change.after.length === 0),
  );
  return heldByOther || stillOwn ? live.status : 'inactive';
}

/** A delta feed that only takes the learner out of groups says nothing else of the person. */
function removesOnly(claim: Claim, { mode }: FeedPolicy): boolean {
  return mode === 'delta' && claim.groups.length === 0 && claim.removed.length > 0;
}

function fieldChanges(live: Learner, claim: Claim, { policy, protectedLearner }: PlanInput): FieldChange[] {
  const fields: FieldChange[] = [];
  const compare = (field: string, before: string | undefined, claimed: string | undefined) => {
    if (claimed === undefined) return;
    const after = claimed === '' ? undefined : claimed;
    if (after === undefined && protectedLearner) return;
    if (after !== before) fields.push({ field, ...(before !== undefined && { before }), ...(after && { after }) });
  };
  if (removesOnly(claim, policy)) return fields;
  if (live.externalId === undefined) compare('externalId', undefined, claim.externalId);
  compare('email', live.email, claim.email);
  compare('firstName', live.firstName, claim.firstName);
  compare('lastName', live.lastName, claim.lastName);
  for (const [key, value] of Object.entries(claim.attributes)) {
    compare(`attributes.${key}`, Object.hasOwn(live.attributes, key) ? live.attributes[key] : undefined, value);
  }
  return fields;
}
