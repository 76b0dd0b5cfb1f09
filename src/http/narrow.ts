import type { Group } from '../domain/structure.ts';
import type { CourseView } from '../run/views/courseView.ts';
import type { GroupView } from '../run/views/groupView.ts';
import { keyOf } from '../run/views/key.ts';
import type { LearnerRow } from '../run/views/learnerList.ts';
import type { LearnerView } from '../run/views/learnerView.ts';
import type { Principal } from './principal.ts';
import type { Sight } from './sight.ts';

/** Views without what the asker may not see: neither its names nor counts that tell of it (R29). */
export interface Narrowing {
  readonly group: (view: GroupView) => Omit<GroupView, 'members'> & { members: GroupView['members'] | null };
  readonly course: (
    view: CourseView,
  ) => Omit<CourseView, 'subscriptions'> & { subscriptions: CourseView['subscriptions'] | null };
  readonly row: (view: LearnerRow) => LearnerRow;
  readonly learner: (view: LearnerView) => LearnerView;
}

export function narrowing(sight: Sight, { role, subenvironments }: Principal): Narrowing {
  if (sight.groups === null)
    return { group: (view) => view, course: (view) => view, row: (view) => view, learner: (view) => view };
  const groups = new Set(
    [...sight.groups].flatMap((id) => sight.structure.group(id) ?? []).map((group: Group) => keyOf(group)),
  );
  const courses = new Set([...sight.courses.values()].filter(({ id }) => sight.seesCourse(id)).map(keyOf));
  const seen = (keys: readonly string[]) => keys.filter((key) => groups.has(key));
  const isReseller = role === 'reseller';
  return {
    group: (view) => ({
      ...view,
      parent: view.parent !== null && groups.has(view.parent) ? view.parent : null,
      children: seen(view.children),
      courses: view.courses.filter(({ course }) => courses.has(course)),
      instructors: isReseller ? [] : view.instructors,
      subenvironments: isReseller ? view.subenvironments.filter((name) => subenvironments.includes(name)) : [],
      members: isReseller ? null : view.members,
    }),
    course: (view) => ({
      ...view,
      groups: seen(view.groups),
      subenvironment: isReseller ? view.subenvironment : null,
      subscriptions: null,
    }),
    row: (view) => ({ ...view, groups: seen(view.groups) }),
    learner: (view) => ({
      ...view,
      memberships: view.memberships.filter(({ group }) => groups.has(group)),
      subscriptions: view.subscriptions
        .filter(({ course }) => courses.has(course))
        .map((one) => ({ ...one, through: seen(one.through) })),
    }),
  };
}
