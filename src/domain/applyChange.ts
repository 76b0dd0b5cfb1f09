import type { Change } from './change.ts';
import type { GroupId } from './ids.ts';
import type { FeedHold, Identity, Learner, Membership, Source } from './learner.ts';

/**
 * The learner after the change. Each part sets what it speaks of and nothing else, whatever is stored by now, so
 * that changes of different sources give the same end in any order (R14, R23) and a second application gives nothing.
 * Returns the very same object where nothing differs.
 */
export function applyChange(learner: Learner, change: Change): Learner {
  const fields = change.create
    ? Object.entries(change.create).flatMap(([field, value]) =>
        field === 'attributes'
          ? Object.entries(value as Record<string, string>).map(([key, text]) => [`attributes.${key}`, text] as const)
          : [[field, value as string] as const],
      )
    : change.fields.map(({ field, after }) => [field, after] as const);
  const next: Writable<Learner> = {
    ...learner,
    attributes: { ...learner.attributes },
    memberships: change.memberships.reduce(withMembership, learner.memberships),
    holds: change.hold ? withHold(learner.holds, change.hold) : learner.holds,
  };
  for (const [field, value] of fields) setField(next, field, value);
  return isEqual(learner, next) ? learner : next;
}

/** A learner that the change creates. */
export function createLearner(change: Change): Learner {
  const blank: Learner = {
    id: change.learner,
    revision: 0,
    status: 'active',
    attributes: {},
    memberships: [],
    holds: [],
  };
  return applyChange(blank, change);
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

function setField(learner: Writable<Learner>, field: string, value: string | undefined): void {
  if (field.startsWith('attributes.')) {
    const attributes = learner.attributes as Record<string, string>;
    const key = field.slice('attributes.'.length);
    if (value === undefined) delete attributes[key];
    else Object.defineProperty(attributes, key, { value, enumerable: true, configurable: true, writable: true });
    return;
  }
  const key = field as Exclude<keyof Identity, 'attributes' | 'status' | 'externalId'>;
  if (value === undefined) delete learner[key];
  else learner[key] = value;
}

function withMembership(memberships: readonly Membership[], change: Change['memberships'][number]): Membership[] {
  const others = memberships.filter(({ group }) => group !== change.group);
  const kept = memberships.find(({ group }) => group === change.group)?.sources ?? [];
  const sources: Source[] = [
    ...kept.filter(({ source }) => source !== change.source),
    ...change.after.map((window) => ({ source: change.source, ...window })),
  ].sort((a, b) => (a.source < b.source ? -1 : a.source > b.source ? 1 : 0));
  const group: GroupId = change.group;
  return sources.length === 0 ? others : [...others, { group, sources }].sort((a, b) => a.group - b.group);
}

function withHold(holds: readonly FeedHold[], hold: NonNullable<Change['hold']>): FeedHold[] {
  const feed = (hold.after ?? hold.before)?.feed;
  const others = holds.filter((one) => one.feed !== feed);
  return hold.after ? [...others, hold.after].sort((a, b) => (a.feed < b.feed ? -1 : 1)) : others;
}

function isEqual(a: Learner, b: Learner): boolean {
  return canonical(a) === canonical(b);
}

function canonical(learner: Learner): string {
  const { attributes, ...rest } = learner;
  return JSON.stringify([
    Object.entries(rest).sort(([a], [b]) => (a < b ? -1 : 1)),
    Object.entries(attributes).sort(([a], [b]) => (a < b ? -1 : 1)),
  ]);
}
