import type { Change, FieldChange, MembershipChange } from './change.ts';
import type { GroupId, LearnerId, SourceName } from './ids.ts';
import type { FeedHold, Identity, Learner, Membership, Source } from './learner.ts';
import { sameWindows } from './window.ts';

/**
 * The learner after the change. Each part sets what it speaks of and nothing else, whatever is stored by now, so
 * that changes of different sources give the same end in any order (R14, R23) and a second application gives nothing.
 * Returns the very same object where nothing differs. What the change creates is `createLearner`'s.
 */
export function applyChange(learner: Learner, change: Change): Learner {
  const memberships = change.memberships.reduce(withMembership, learner.memberships);
  const holds = change.hold ? withHold(learner.holds, change.hold) : learner.holds;
  const fields = change.fields.filter(({ field, after }) => fieldOf(learner, field) !== after);
  if (fields.length === 0 && memberships === learner.memberships && holds === learner.holds) return learner;
  return withFields({ ...learner, memberships, holds }, fields);
}

/**
 * A feed's change in the light of what has happened since its plan was made: who has come to be held by something else
 * meanwhile stays active, and whom the feed comes to hold is active (R20), whichever of two runs side by side is
 * applied first (R23).
 */
export function asOfNow(change: Change, live: Learner, feed: SourceName): Change {
  const others = change.fields.filter(({ field }) => field !== 'status');
  const status = change.fields.find(({ field }) => field === 'status');
  if (status?.after === 'inactive') return isHeldByOthers(live, feed) ? { ...change, fields: others } : change;
  const comesToHold = change.hold?.after && !change.hold.after.leftAt;
  if (!comesToHold || status || live.status === 'active') return change;
  return { ...change, fields: [...others, { field: 'status', before: live.status, after: 'active' }] };
}

/**
 * A creation as a change of the learner of that External ID whom another source has made meanwhile: the feed has not
 * created that one (R20). What was to be created is left out.
 */
export function asChangeOf(learner: LearnerId, { create: _, hold, ...change }: Change): Change {
  if (!hold?.after) return { ...change, learner, ...(hold && { hold }) };
  const { created: __, ...after } = hold.after;
  return { ...change, learner, hold: { ...hold, after } };
}

/** The change without memberships in groups that are no more; the very same object where all are there. */
export function withoutGone(change: Change, isThere: (group: GroupId) => boolean): Change {
  const { memberships } = change;
  const left = memberships.filter(({ group, after }) => after.length === 0 || isThere(group));
  return left.length === memberships.length ? change : { ...change, memberships: left };
}

function isHeldByOthers({ holds, memberships }: Learner, feed: SourceName): boolean {
  return (
    holds.some((hold) => hold.feed !== feed && hold.leftAt === undefined) ||
    memberships.some(({ sources }) => sources.some(({ source }) => source !== feed))
  );
}

/** A learner that the change creates. */
export function createLearner({ learner, create, memberships, hold }: Change): Learner {
  return {
    id: learner,
    revision: 0,
    status: 'active',
    attributes: {},
    ...create,
    memberships: memberships.reduce(withMembership, []),
    holds: hold ? withHold([], hold) : [],
  };
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };
type TextField = Exclude<keyof Identity, 'attributes' | 'status' | 'externalId'>;

const ATTRIBUTE = 'attributes.';

function fieldOf(learner: Learner, field: string): string | undefined {
  if (!field.startsWith(ATTRIBUTE)) return learner[field as TextField];
  const key = field.slice(ATTRIBUTE.length);
  return Object.hasOwn(learner.attributes, key) ? learner.attributes[key] : undefined;
}

function withFields(learner: Writable<Learner>, fields: readonly FieldChange[]): Learner {
  const attributes = new Map(Object.entries(learner.attributes));
  for (const { field, after } of fields) {
    const key = field.startsWith(ATTRIBUTE) ? field.slice(ATTRIBUTE.length) : undefined;
    if (key !== undefined) {
      if (after === undefined) attributes.delete(key);
      else attributes.set(key, after);
    } else if (after === undefined) delete learner[field as TextField];
    else learner[field as TextField] = after;
  }
  if (fields.some(({ field }) => field.startsWith(ATTRIBUTE))) learner.attributes = Object.fromEntries(attributes);
  return learner;
}

/** The memberships with this source's windows as the change says; the same array where they are so already. */
function withMembership(
  memberships: readonly Membership[],
  { group, source, after }: MembershipChange,
): readonly Membership[] {
  const held = memberships.find((one) => one.group === group)?.sources ?? [];
  const own = held.filter((one) => one.source === source);
  if (sameWindows(own, after)) return memberships;
  const sources: Source[] = [
    ...held.filter((one) => one.source !== source),
    ...after.map((window) => ({ source, ...window })),
  ].sort((a, b) => (a.source < b.source ? -1 : a.source > b.source ? 1 : 0));
  const others = memberships.filter((one) => one.group !== group);
  return sources.length === 0 ? others : [...others, { group, sources }].sort((a, b) => a.group - b.group);
}

function withHold(holds: readonly FeedHold[], { before, after }: NonNullable<Change['hold']>): readonly FeedHold[] {
  const feed = (after ?? before)?.feed;
  const held = holds.find((one) => one.feed === feed);
  if (after ? held && sameHold(held, after) : !held) return holds;
  const others = holds.filter((one) => one.feed !== feed);
  return after ? [...others, after].sort((a, b) => (a.feed < b.feed ? -1 : 1)) : others;
}

/** Whether two holds of one feed say the same. */
export function sameHold(a: FeedHold, b: FeedHold): boolean {
  return (a.created ?? false) === (b.created ?? false) && a.leftAt?.getTime() === b.leftAt?.getTime();
}
