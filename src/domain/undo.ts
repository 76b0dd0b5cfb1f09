import { sameHold } from './applyChange.ts';
import type { Change, FieldChange, MembershipChange } from './change.ts';
import type { GroupId, SourceName } from './ids.ts';
import type { FeedHold, Learner } from './learner.ts';
import { sameWindows, window } from './window.ts';

/** The change that leads back, whatever came in between: before and after change places. A creation has none. */
export function reverse({ fields, memberships, hold, ...change }: Change): Change {
  return {
    ...change,
    fields: fields.map(swapField),
    memberships: memberships.map(({ before, after, courses: _, ...one }) => ({ ...one, before: after, after: before })),
    ...(hold && { hold: { before: hold.after, after: hold.before } }),
  };
}

function swapField({ field, before, after }: FieldChange): FieldChange {
  return { field, ...(after !== undefined && { before: after }), ...(before !== undefined && { after: before }) };
}

/** A part of a change that newer facts have overtaken: it stays as it is now. */
export interface Overtaken {
  readonly field?: string;
  readonly group?: GroupId;
  readonly source?: SourceName;
  readonly why: string;
}

export interface Undone {
  /** Null: there is nothing left to turn back. */
  readonly change: Change | null;
  readonly overtaken: readonly Overtaken[];
}

const CHANGED = 'it was changed since';
const GONE = 'the group is there no more';

/**
 * Turns one learner's change back, as far as what it made is still so (R25). What is as it was before already needs
 * nothing; what is neither was changed by someone since, and stays. A learner whom the change created loses what it
 * gave and becomes inactive, unless something else holds the learner by now; nobody is ever deleted.
 */
export function undoChange(change: Change, live: Learner, isGroup: (id: GroupId) => boolean): Undone {
  const overtaken: Overtaken[] = [];
  const memberships = change.memberships.flatMap((one) => undoMembership(one, live, isGroup, overtaken));
  const fields = change.create ? [] : change.fields.flatMap((one) => undoField(one, live, overtaken));
  const hold = undoHold(change, live);
  if (change.create && live.status === 'active') {
    if (isHeldStill(live, memberships, hold))
      overtaken.push({ field: 'status', why: 'something else holds the learner' });
    else fields.push({ field: 'status', before: 'active', after: 'inactive' });
  }
  const nothing = fields.length === 0 && memberships.length === 0 && !hold;
  const undone = { learner: live.id, revision: live.revision, fields, memberships, ...(hold && { hold }) };
  return { change: nothing ? null : undone, overtaken };
}

function undoMembership(
  { group, source, before, after }: MembershipChange,
  live: Learner,
  isGroup: (id: GroupId) => boolean,
  overtaken: Overtaken[],
): MembershipChange[] {
  const now = (live.memberships.find((one) => one.group === group)?.sources ?? [])
    .filter((one) => one.source === source)
    .map(({ from, until }) => window(from, until));
  if (sameWindows(now, before)) return [];
  if (!sameWindows(now, after)) overtaken.push({ group, source, why: CHANGED });
  else if (before.length > 0 && !isGroup(group)) overtaken.push({ group, source, why: GONE });
  else
    return [
      { group, source, before: after, after: before, ...(before.length === 0 && { courses: 'expire' as const }) },
    ];
  return [];
}

function undoField(change: FieldChange, live: Learner, overtaken: Overtaken[]): FieldChange[] {
  const now = fieldOf(live, change.field);
  if (now === change.before) return [];
  if (now === change.after) return [swapField(change)];
  overtaken.push({ field: change.field, why: CHANGED });
  return [];
}

const ATTRIBUTE = 'attributes.';

function fieldOf(learner: Learner, field: string): string | undefined {
  if (!field.startsWith(ATTRIBUTE)) return (learner as unknown as Record<string, string | undefined>)[field];
  const key = field.slice(ATTRIBUTE.length);
  return Object.hasOwn(learner.attributes, key) ? learner.attributes[key] : undefined;
}

/** A hold that is neither as before nor as after says what the feed has found since: it stays. */
function undoHold({ hold }: Change, live: Learner): Change['hold'] {
  if (!hold) return undefined;
  const feed = (hold.after ?? hold.before)?.feed;
  const now = live.holds.find((one) => one.feed === feed) ?? null;
  return isSame(now, hold.after) && !isSame(now, hold.before) ? { before: hold.after, after: hold.before } : undefined;
}

function isSame(a: FeedHold | null, b: FeedHold | null): boolean {
  return a === null || b === null ? a === b : sameHold(a, b);
}

function isHeldStill(live: Learner, undone: readonly MembershipChange[], hold: Change['hold']): boolean {
  const gone = new Set(
    undone.filter(({ after }) => after.length === 0).map(({ group, source }) => `${group} ${source}`),
  );
  return (
    live.memberships.some(({ group, sources }) => sources.some(({ source }) => !gone.has(`${group} ${source}`))) ||
    live.holds.some(({ feed, leftAt }) => feed !== hold?.before?.feed && leftAt === undefined)
  );
}
