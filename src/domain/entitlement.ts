import type { CourseId, GroupId } from './ids.ts';
import type { Membership } from './learner.ts';
import type { Structure } from './structure.ts';
import { isOpen } from './window.ts';

/** Is the membership valid now: does any of its sources hold it now? */
export function isValid(membership: Membership, now: Date): boolean {
  return membership.sources.some((source) => isOpen(source, now));
}

/** Courses that the learner's groups give now: the union over all valid memberships (R1, R2). Direct grants not counted. */
export function entitledCourses(memberships: readonly Membership[], structure: Structure, now: Date): Set<CourseId> {
  const courses = new Set<CourseId>();
  for (const membership of memberships) {
    if (!isValid(membership, now)) continue;
    for (const course of structure.courses(membership.group)) courses.add(course);
  }
  return courses;
}

/** The linked groups, of those that the learner is an effective member of now, that give the course. Sorted by id. */
export function through(
  course: CourseId,
  memberships: readonly Membership[],
  structure: Structure,
  now: Date,
): GroupId[] {
  const givers = new Set<GroupId>();
  for (const membership of memberships) {
    if (!isValid(membership, now)) continue;
    for (const group of structure.givers(membership.group, course)) givers.add(group);
  }
  return [...givers].sort((a, b) => a - b);
}
