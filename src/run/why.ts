import type { CourseId, GroupId, LearnerId } from '../domain/ids.ts';
import { isOpen } from '../domain/window.ts';
import { learnersById } from '../store/learners.ts';
import type { AuditDoc } from '../store/models.ts';
import type { Services } from '../store/services.ts';
import { readCourses, readStructure } from '../store/structure.ts';
import { readSubscriptions } from '../store/subscriptions.ts';
import { inOrder, type LearnerEvent, learnerEvents, type StructureDetail } from './history.ts';
import { keyIn, keyOf } from './views/key.ts';

/** Who did something, when, and for what reason. */
export interface Origin {
  readonly at: Date;
  readonly by: string;
  /** The feed or the command. */
  readonly why: string;
  readonly run: string;
  /** Rows of the feed that say so. */
  readonly rows: readonly number[];
}

/** A group that gives the course, and how the learner comes to it. */
export interface GroupReason {
  /** From the group that the learner is in up to the one that is linked to the course; one, where they are the same. */
  readonly path: readonly string[];
  /** Who linked the course to the last group of the path; null = not known. */
  readonly link: Origin | null;
  readonly sources: readonly {
    readonly source: string;
    readonly validFrom: Date | null;
    readonly validUntil: Date | null;
    /** Valid now. */
    readonly open: boolean;
    readonly since: Origin | null;
  }[];
}

/** The chain of reasons from a subscription down to the rows and people that made it so (R28). */
export interface Why {
  readonly learner: string;
  readonly course: string;
  /** Null: the learner never had the course, or it was purged. */
  readonly subscription: {
    readonly status: 'active' | 'expired';
    readonly since: Date;
    readonly direct: boolean;
  } | null;
  /** What made the subscription what it is. */
  readonly last: (Origin & { readonly event: string }) | null;
  readonly groups: readonly GroupReason[];
  /** Who made the direct grant, where there is one. */
  readonly grant: Origin | null;
}

export async function whyCourse({ store, clock }: Services, id: LearnerId, course: CourseId): Promise<Why> {
  const [structure, courses] = [await readStructure(store), await readCourses(store)];
  const learners = await learnersById(store, [id]);
  const learner = learners.get(id);
  const item = (await readSubscriptions(store, [id])).get(id)?.items.find((one) => one.course === course);
  const events = (await learnerEvents(store, id)).toReversed();
  const now = clock.now();
  const groups: GroupReason[] = [];
  for (const { group, sources } of learner?.memberships ?? []) {
    const above = structure.above(group);
    for (const giver of structure.givers(group, course)) {
      groups.push({
        path: above.slice(0, above.indexOf(giver) + 1).map((one) => keyOf(structure.group(one) ?? { id: one })),
        link: await linkOrigin(store, giver, course),
        sources: sources.map((source) => ({
          source: source.source,
          validFrom: source.from ?? null,
          validUntil: source.until ?? null,
          open: isOpen(source, now),
          since: membershipOrigin(events, group, source.source),
        })),
      });
    }
  }
  const latest = events.find((one) =>
    one.events.some((event) => event.course === course && event.kind !== 'purge-skipped'),
  );
  const kind = latest?.events.findLast((event) => event.course === course)?.kind;
  const granted = item?.direct
    ? events.find((one) => one.events.some((event) => event.course === course && GRANTS.has(event.kind)))
    : undefined;
  return {
    learner: keyIn(learners, id),
    course: keyIn(courses, course),
    subscription: item ? { status: item.status, since: item.since, direct: item.direct } : null,
    last: latest && kind ? { ...originOf(latest.entry), event: kind } : null,
    groups,
    grant: granted ? originOf(granted.entry) : null,
  };
}

const GRANTS: ReadonlySet<string> = new Set(['granted', 'kept']);

function originOf({ at, by, why, _id }: AuditDoc, rows: readonly number[] = []): Origin {
  return { at, by, why, run: _id.run, rows };
}

/** The latest change that made the source hold the membership as it does. */
function membershipOrigin(newestFirst: readonly LearnerEvent[], group: GroupId, source: string): Origin | null {
  for (const { entry, change } of newestFirst) {
    const made = change?.memberships.some(
      (one) => one.group === group && one.source === source && one.after.length > 0,
    );
    if (made) return originOf(entry, change?.rows);
  }
  return null;
}

async function linkOrigin(store: Services['store'], group: GroupId, course: CourseId): Promise<Origin | null> {
  const entries = await store.audit.find({ groups: group }).toArray();
  for (const entry of entries.sort(inOrder).toReversed()) {
    const linked = (entry.detail as StructureDetail).some(
      ({ before, after }) =>
        after?.id === group && after.courses.includes(course) && !(before?.courses.includes(course) ?? false),
    );
    if (linked) return originOf(entry);
  }
  return null;
}
