import type { Change, MembershipChange } from '../domain/change.ts';
import type { GroupId, SourceName } from '../domain/ids.ts';
import type { FeedHold, Learner } from '../domain/learner.ts';

/** What a plan comes to: the figures of the report and of the guard, counted change by change. */
export class Tally {
  created = 0;
  updated = 0;
  reactivated = 0;
  deactivated = 0;
  identityChanged = 0;
  added = 0;
  removed = 0;
  /** Memberships that stay, within other windows. */
  windows = 0;
  /** Of these, the ones that were open and are no more: to the learner they are as good as removed. */
  closed = 0;
  /** Learners that the feed names now and did not name before, less those that it lets go of. */
  held = 0;
  lost = 0;
  /** Results would be deleted of so many learners. */
  purged = 0;
  /** `gone`: members whom nothing else holds in the group. */
  readonly groups = new Map<GroupId, { added: number; gone: number }>();
  readonly #feed: SourceName;

  constructor(feed: SourceName) {
    this.#feed = feed;
  }

  add(change: Change, live: Learner | undefined): void {
    if (change.create) this.created += 1;
    else this.#countFields(change);
    let gained = 0;
    let gone = 0;
    for (const one of change.memberships) {
      if (one.source !== this.#feed) continue;
      if (one.before.length === 0 && one.after.length > 0) {
        gained += 1;
        this.#group(one.group).added += 1;
        continue;
      }
      if (one.before.length > 0 && one.after.length === 0) this.removed += 1;
      else {
        this.windows += 1;
        if (one.courses === undefined) continue;
        this.closed += 1;
      }
      gone += 1;
      if (!heldByOther(one, live)) this.#group(one.group).gone += 1;
    }
    if (change.hold) this.held += named(change.hold.after) - named(change.hold.before);
    this.added += gained;
    if (gained === 0) this.lost += gone;
  }

  #countFields({ fields }: Change): void {
    if (fields.length === 0) return;
    const status = fields.find(({ field }) => field === 'status');
    if (status?.after === 'inactive') this.deactivated += 1;
    if (status?.after === 'active') this.reactivated += 1;
    if (fields.some(({ field }) => field !== 'status')) this.updated += 1;
    if (fields.some(({ field }) => IDENTITY.has(field))) this.identityChanged += 1;
  }

  /** What the guard is told of removals, closed windows included. */
  get taken(): number {
    return this.removed + this.closed;
  }

  #group(id: GroupId): { added: number; gone: number } {
    let group = this.groups.get(id);
    if (!group) {
      group = { added: 0, gone: 0 };
      this.groups.set(id, group);
    }
    return group;
  }
}

function named(hold: FeedHold | null): number {
  return hold && !hold.leftAt ? 1 : 0;
}

const IDENTITY: ReadonlySet<string> = new Set(['email', 'firstName', 'lastName']);

function heldByOther({ group, source }: MembershipChange, live: Learner | undefined): boolean {
  const membership = live?.memberships.find((one) => one.group === group);
  return membership?.sources.some((one) => one.source !== source) ?? false;
}
