import { NotFound } from '../../domain/errors.ts';
import type { CourseId, GroupId } from '../../domain/ids.ts';
import type { ReportSettings } from '../../settings/report.ts';
import { findCourses, findGroup } from '../find.ts';
import type { Sight } from '../sight.ts';

/** What a report's filter is about, as far as it is seen; null = all there is. */
export interface Scope {
  /** Learners are in one of these. */
  readonly groups: ReadonlySet<GroupId> | null;
  readonly courses: ReadonlySet<CourseId> | null;
}

/** Groups, subenvironments and courses that the filter names and that are not there, or not seen. */
export function unknownNames({ filter }: ReportSettings, sight: Sight): string[] {
  const { groups = [], subenvironments = [], courses = [] } = filter;
  const found = findCourses(sight.courses, courses);
  return [
    ...groups.filter((text) => groupNamed(sight, text) === undefined).map((text) => `group ${text}`),
    ...subenvironments.filter((name) => !sight.seesSubenvironment(name)).map((name) => `subenvironment ${name}`),
    ...courses.filter((_, at) => !sight.seesCourse(found[at]?.id as CourseId)).map((text) => `course ${text}`),
  ];
}

/**
 * What the filter comes to for one who sees so much: what is not seen adds nothing. `within`: one group more that
 * learners are to be in, or below. @throws {NotFound} where the filter names what is not there, for those who see everything.
 */
export function scopeOf(report: ReportSettings, sight: Sight, within?: GroupId): Scope {
  const [unknown] = sight.groups === null ? unknownNames(report, sight) : [];
  if (unknown !== undefined)
    throw new NotFound(`Report ${report.name} names ${unknown}, which is not there; it was not run. Mend its filter.`);
  const { structure } = sight;
  const { groups, subenvironments, courses } = report.filter;
  const below = (ids: readonly GroupId[]) => new Set(ids.flatMap((id) => structure.below(id)));
  const sets = [
    sight.groups,
    groups ? below(groups.flatMap((text) => groupNamed(sight, text) ?? [])) : null,
    subenvironments
      ? below(
          [...structure.groups]
            .filter((group) => group.subenvironments.some((name) => subenvironments.includes(name)))
            .map(({ id }) => id),
        )
      : null,
    within === undefined ? null : below([within]),
  ];
  const seen = sight.groups === null ? null : new Set([...sight.courses.keys()].filter((id) => sight.seesCourse(id)));
  const named = courses ? new Set(findCourses(sight.courses, courses).flatMap((course) => course?.id ?? [])) : null;
  return { groups: sets.reduce(both), courses: both(seen, named) };
}

function groupNamed(sight: Sight, text: string): GroupId | undefined {
  const group = findGroup(sight.structure, text);
  return group && sight.seesGroup(group.id) ? group.id : undefined;
}

/** What is in both; null is everything. */
function both<T>(a: ReadonlySet<T> | null, b: ReadonlySet<T> | null): ReadonlySet<T> | null {
  if (a === null || b === null) return a ?? b;
  return new Set([...a].filter((one) => b.has(one)));
}
