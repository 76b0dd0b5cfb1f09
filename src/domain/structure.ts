import type { CourseId, ExternalId, GroupId } from './ids.ts';

export interface Group {
  readonly id: GroupId;
  readonly externalId?: ExternalId;
  readonly name: string;
  readonly parent?: GroupId;
  readonly instructors: readonly string[];
  readonly subenvironments: readonly string[];
  /** Courses that this group itself gives access to (its course links). */
  readonly courses: readonly CourseId[];
}

export interface Course {
  readonly id: CourseId;
  readonly externalId?: ExternalId;
  readonly name: string;
  readonly subenvironment?: string;
  /** Who created it: a reseller links groups to courses of his own alone (R29). */
  readonly createdBy?: string;
}

/** A group as it shall be; null = it goes. */
export interface GroupChange {
  readonly id: GroupId;
  readonly after: Group | null;
}

/** See the fields of `Structure` of these names; 0 where they are not given. */
interface Revisions {
  readonly revision?: number;
  readonly keys?: number;
  readonly keysGone?: number;
}

/**
 * The group tree with its course links, compiled for look-ups. Immutable: a change of structure makes a new one
 * with a higher revision.
 */
export class Structure {
  readonly revision: number;
  /** Goes up when a group's External ID comes, goes or changes: what a feed's rows mean may then differ. */
  readonly keysRevision: number;
  /** Goes up when one goes or changes: what rows mean whose groups were all there may then differ too. */
  readonly keysGoneRevision: number;
  readonly #groups: ReadonlyMap<GroupId, Group>;
  readonly #byExternalId: ReadonlyMap<ExternalId, Group>;
  readonly #children = new Map<GroupId, GroupId[]>();
  readonly #courses = new Map<GroupId, readonly CourseId[]>();
  #folded: Map<string, Group> | undefined;

  constructor(groups: readonly Group[], { revision = 0, keys = 0, keysGone = 0 }: Revisions = {}) {
    this.revision = revision;
    this.keysRevision = keys;
    this.keysGoneRevision = keysGone;
    this.#groups = new Map(groups.map((group) => [group.id, group]));
    this.#byExternalId = new Map(groups.flatMap((group) => (group.externalId ? [[group.externalId, group]] : [])));
    for (const group of groups) {
      if (group.parent === undefined) continue;
      const siblings = this.#children.get(group.parent);
      if (siblings) siblings.push(group.id);
      else this.#children.set(group.parent, [group.id]);
    }
  }

  /** The structure that these changes make. */
  with(changes: readonly GroupChange[]): Structure {
    const changed = new Set(changes.map(({ id }) => id));
    const kept = [...this.groups].filter(({ id }) => !changed.has(id));
    return new Structure([...kept, ...changes.flatMap(({ after }) => after ?? [])], { revision: this.revision + 1 });
  }

  get groups(): Iterable<Group> {
    return this.#groups.values();
  }

  group(id: GroupId): Group | undefined {
    return this.#groups.get(id);
  }

  byExternalId(id: ExternalId): Group | undefined {
    return this.#byExternalId.get(id);
  }

  children(id: GroupId): readonly GroupId[] {
    return this.#children.get(id) ?? [];
  }

  /** The group itself, then its parent, and so on to the top (R1), or once around a circle. */
  above(id: GroupId): GroupId[] {
    const path: GroupId[] = [];
    for (let at: GroupId | undefined = id; at !== undefined && !path.includes(at); at = this.#groups.get(at)?.parent) {
      if (this.#groups.has(at)) path.push(at);
    }
    return path;
  }

  /** The group itself and every group below it (R1); each once, in a circle too. */
  below(id: GroupId): GroupId[] {
    const found = new Set([id]);
    for (const group of found) for (const child of this.children(group)) found.add(child);
    return [...found];
  }

  /** Courses that a member of the group gets: the group's own and those of the groups above, each once. */
  courses(id: GroupId): readonly CourseId[] {
    let courses = this.#courses.get(id);
    if (!courses) {
      courses = [...new Set(this.above(id).flatMap((group) => this.#groups.get(group)?.courses ?? []))];
      this.#courses.set(id, courses);
    }
    return courses;
  }

  /** Groups on the way up from `id` that are linked to the course. */
  givers(id: GroupId, course: CourseId): GroupId[] {
    return this.above(id).filter((group) => this.#groups.get(group)?.courses.includes(course));
  }

  /** Would `group` lie in a circle if its parent were `parent`? */
  wouldCircle(group: GroupId, parent: GroupId): boolean {
    return this.above(parent).includes(group);
  }

  /** A group whose External ID differs from `id` by letter case or zero-padding alone (R12). */
  nearMiss(id: ExternalId): Group | undefined {
    this.#folded ??= new Map([...this.#byExternalId].map(([key, group]) => [fold(key), group]));
    const near = this.#folded.get(fold(id));
    return near && near.externalId !== id ? near : undefined;
  }
}

/** Letter case and zero-padding taken away: equal folds are near misses (R12). */
export function fold(id: string): string {
  return id.toLowerCase().replace(/(^|[^0-9])0+(?=[0-9])/g, '$1');
}
