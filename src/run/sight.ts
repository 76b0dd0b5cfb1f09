import type { CourseId, GroupId } from '../domain/ids.ts';
import type { Learner } from '../domain/learner.ts';
import { type Role, seesAll } from '../domain/role.ts';
import type { Course, Structure } from '../domain/structure.ts';
import type { Services } from '../store/services.ts';
import { readCourses, readStructure } from '../store/structure.ts';

/** Who looks. */
export interface Viewer {
  readonly role: Role;
  /** Undefined for one who is no person. */
  readonly login?: string;
  /** Who owns what this one creates. */
  readonly owner: string;
  readonly subenvironments: readonly string[];
}

/** What one who asks may see of groups, learners and courses (R29). What is not seen is not found. */
export interface Sight {
  readonly structure: Structure;
  readonly courses: ReadonlyMap<CourseId, Course>;
  /** null = all. */
  readonly groups: ReadonlySet<GroupId> | null;
  readonly seesGroup: (id: GroupId) => boolean;
  readonly seesCourse: (id: CourseId) => boolean;
  /** One that was made, or whose name a group bears. */
  readonly seesSubenvironment: (name: string) => boolean;
  readonly seesLearner: (learner: Learner) => boolean;
}

/**
 * Administrators and operators see everything. An instructor sees the groups that name him, those below, their learners and
 * the courses that these groups give. A reseller sees the groups that are linked to a subenvironment of his, and the
 * courses in it that he created; no learners.
 */
export async function sightOf({ store }: Pick<Services, 'store'>, viewer: Viewer): Promise<Sight> {
  const [structure, courses] = [await readStructure(store), await readCourses(store)];
  if (seesAll(viewer.role)) {
    const made = new Set((await store.subenvironments.find().toArray()).map(({ _id }) => _id));
    return {
      structure,
      courses,
      groups: null,
      seesGroup: (id) => structure.group(id) !== undefined,
      seesCourse: (id) => courses.has(id),
      seesSubenvironment: (name) =>
        made.has(name) || [...structure.groups].some((group) => group.subenvironments.includes(name)),
      seesLearner: () => true,
    };
  }
  const [groups, mine] =
    viewer.role === 'reseller' ? ofReseller(viewer, structure, courses) : ofInstructor(viewer, structure);
  return {
    structure,
    courses,
    groups,
    seesGroup: (id) => groups.has(id),
    seesCourse: (id) => mine.has(id),
    seesSubenvironment: () => false,
    seesLearner: ({ memberships }) =>
      viewer.role === 'instructor' && memberships.some(({ group }) => groups.has(group)),
  };
}

function ofInstructor({ login }: Viewer, structure: Structure): [Set<GroupId>, Set<CourseId>] {
  const instructed = [...structure.groups].filter(({ instructors }) =>
    instructors.some((name) => name.trim().normalize('NFC').toLowerCase() === login),
  );
  const groups = new Set(instructed.flatMap(({ id }) => structure.below(id)));
  return [groups, new Set([...groups].flatMap((id) => structure.courses(id)))];
}

function ofReseller(
  { owner, subenvironments }: Viewer,
  structure: Structure,
  courses: ReadonlyMap<CourseId, Course>,
): [Set<GroupId>, Set<CourseId>] {
  const has = (name: string | undefined) => name !== undefined && subenvironments.includes(name);
  const groups = [...structure.groups].filter((group) => group.subenvironments.some(has)).map(({ id }) => id);
  const mine = [...courses.values()]
    .filter(({ createdBy, subenvironment }) => createdBy === owner && has(subenvironment))
    .map(({ id }) => id);
  return [new Set(groups), new Set(mine)];
}
