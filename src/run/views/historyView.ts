import { isDeepStrictEqual } from 'node:util';
import type { CourseId, LearnerId } from '../../domain/ids.ts';
import type { Course, Group, Structure } from '../../domain/structure.ts';
import type { AuditDoc, RunDoc } from '../../store/models.ts';
import type { Services } from '../../store/services.ts';
import { readCourses, readStructure } from '../../store/structure.ts';
import { learnerEvents, type StructureDetail } from '../history.ts';
import { type ChangeView, fieldsOf, viewEvent, viewField, viewMembership } from './changesView.ts';
import { keyIn, keyOf } from './key.ts';

/** One step in a learner's life: when, by whom, why, and what changed. */
export interface HistoryEntry {
  readonly at: Date;
  readonly by: string;
  /** The feed, the command, or the reason given. */
  readonly why: string;
  readonly run: string;
  readonly step: string;
  readonly created: boolean;
  readonly fields: ChangeView['fields'];
  readonly memberships: ChangeView['memberships'];
  /** Rows of the feed that say so. */
  readonly rows: readonly number[];
  readonly subscriptions: readonly {
    readonly course: string;
    readonly event: string;
    readonly through: readonly string[];
  }[];
  /** What changed in the groups, where that is why the subscriptions changed. */
  readonly structure: readonly string[];
}

/** A learner's timeline, oldest first (R28). */
export async function historyOf({ store }: Services, learner: LearnerId): Promise<HistoryEntry[]> {
  const [structure, courses] = [await readStructure(store), await readCourses(store)];
  const nameOf = (id: number) => keyOf(structure.group(id as never) ?? { id });
  const entries: HistoryEntry[] = [];
  for (const { entry, change, events } of await learnerEvents(store, learner)) {
    const { at, by, why, _id } = entry;
    entries.push({
      at,
      by,
      why,
      run: _id.run,
      step: _id.step,
      created: change?.create !== undefined,
      fields: change?.create ? fieldsOf(change.create) : (change?.fields ?? []).map(viewField),
      memberships: (change?.memberships ?? []).map((one) => viewMembership(one, nameOf)),
      rows: change?.rows ?? [],
      subscriptions: events.map((event) => viewEvent(event, nameOf, courses)),
      structure: events.length > 0 ? await structureOf(store, _id.run, structure, courses) : [],
    });
  }
  return entries;
}

async function structureOf(
  store: Services['store'],
  run: RunDoc['_id'],
  structure: Structure,
  courses: ReadonlyMap<CourseId, Course>,
): Promise<string[]> {
  const entry: AuditDoc | null = await store.audit.findOne({ _id: { run, batch: 0, step: 'structure' } });
  const kind = entry && (await store.runs.findOne({ _id: run, kind: 'structure' }, { projection: { _id: 1 } }));
  return kind ? structureLines(entry.detail as StructureDetail, structure, courses) : [];
}

/** What a change of structure did, a line each. */
export function structureLines(
  detail: StructureDetail,
  structure: Structure,
  courses: ReadonlyMap<CourseId, Course>,
): string[] {
  const parentOf = (group: Group | null) =>
    group?.parent === undefined ? 'the top' : keyOf(structure.group(group.parent) ?? { id: group.parent });
  return detail.flatMap(({ before, after }) => {
    const group = keyOf((after ?? before) as Group);
    if (!after) return [`${group} deleted`];
    const linked = after.courses.filter((course) => !before?.courses.includes(course));
    const unlinked = (before?.courses ?? []).filter((course) => !after.courses.includes(course));
    return [
      ...(before ? [] : [`${group} created below ${parentOf(after)}`]),
      ...(before && before.name !== after.name ? [`${group} renamed from ${before.name} to ${after.name}`] : []),
      ...(before && before.parent !== after.parent
        ? [`${group} moved from ${parentOf(before)} to ${parentOf(after)}`]
        : []),
      ...(before && before.externalId !== after.externalId
        ? [
            `${group} had ${before.externalId === undefined ? 'no External ID' : `the External ID ${before.externalId}`}`,
          ]
        : []),
      ...listLine(group, 'instructors', before?.instructors, after.instructors),
      ...listLine(group, 'subenvironments', before?.subenvironments, after.subenvironments),
      ...linked.map((course) => `${keyIn(courses, course)} linked to ${group}`),
      ...unlinked.map((course) => `${keyIn(courses, course)} unlinked from ${group}`),
    ];
  });
}

function listLine(group: string, what: string, before: readonly string[] = [], after: readonly string[]): string[] {
  if (isDeepStrictEqual(before, after)) return [];
  const said = (names: readonly string[]) => names.join(', ') || 'none';
  return [`${what} of ${group}: ${said(before)} before, ${said(after)} now`];
}
