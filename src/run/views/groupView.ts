import { isValid } from '../../domain/entitlement.ts';
import type { CourseId, GroupId, LearnerId } from '../../domain/ids.ts';
import type { Learner, Membership } from '../../domain/learner.ts';
import type { Course, Group, Structure } from '../../domain/structure.ts';
import { toLearner } from '../../store/learners.ts';
import type { Services } from '../../store/services.ts';
import type { Store } from '../../store/store.ts';
import { readCourses, readStructure } from '../../store/structure.ts';
import { keyIn, keyOf } from './key.ts';
import { compare } from './learnerView.ts';

export interface GroupView {
  readonly id: string;
  readonly externalId: string | null;
  readonly name: string;
  readonly parent: string | null;
  readonly children: readonly string[];
  readonly instructors: readonly string[];
  readonly subenvironments: readonly string[];
  /** What members of the group get: its own course links, and those of the groups above. */
  readonly courses: readonly { readonly course: string; readonly inherited: boolean }[];
  /** Learners in the group itself, and those in it or below it, valid now. */
  readonly members: { readonly direct: number; readonly effective: number };
}

export function groupView(
  group: Group,
  members: GroupView['members'],
  { structure, courses }: { structure: Structure; courses: ReadonlyMap<CourseId, Course> },
): GroupView {
  const keyOfGroup = (id: GroupId) => keyOf(structure.group(id) ?? { id });
  return {
    id: `id:${group.id}`,
    externalId: group.externalId ?? null,
    name: group.name,
    parent: group.parent === undefined ? null : keyOfGroup(group.parent),
    children: structure.children(group.id).map(keyOfGroup).sort(compare),
    instructors: group.instructors,
    subenvironments: group.subenvironments,
    courses: structure
      .courses(group.id)
      .map((course) => ({ course: keyIn(courses, course), inherited: !group.courses.includes(course) }))
      .sort((a, b) => compare(a.course, b.course)),
    members,
  };
}

export async function viewGroup(services: Services, group: Group): Promise<GroupView> {
  const { store, clock } = services;
  const [structure, courses] = [await readStructure(store), await readCourses(store)];
  return groupView(group, await countMembersOf(store, group.id, structure, clock.now()), { structure, courses });
}

/** A membership counts while one of its windows is open. */
async function countMembersOf(
  store: Store,
  group: GroupId,
  structure: Structure,
  now: Date,
): Promise<GroupView['members']> {
  const direct = await store.learners.countDocuments(memberOf([group], now));
  const below = structure.below(group);
  return { direct, effective: below.length === 1 ? direct : await store.learners.countDocuments(memberOf(below, now)) };
}

function memberOf(groups: readonly GroupId[], now: Date) {
  const open = {
    $and: [
      { $or: [{ from: { $exists: false } }, { from: { $lte: now } }] },
      { $or: [{ until: { $exists: false } }, { until: { $gt: now } }] },
    ],
  };
  return {
    'memberships.group': { $in: groups as GroupId[] },
    memberships: { $elemMatch: { group: { $in: groups as GroupId[] }, sources: { $elemMatch: open } } },
  } as never;
}

export interface MemberView {
  readonly id: string;
  readonly externalId: string | null;
  readonly email: string | null;
  /** The group that the learner is in: this one, or one below it. */
  readonly group: string;
  readonly sources: readonly {
    readonly source: string;
    readonly validFrom: Date | null;
    readonly validUntil: Date | null;
  }[];
}

/**
 * Memberships in the group, in the order of the learners' numbers; `effective`: also in those below it, valid now
 * alone. A learner stands there once for each group.
 */
export async function* membersOf(
  { store, clock }: Services,
  group: GroupId,
  { effective, after }: { effective: boolean; after?: LearnerId },
): AsyncGenerator<MemberView> {
  const structure = await readStructure(store);
  const groups = effective ? structure.below(group) : [group];
  const wanted = new Set(groups);
  const now = clock.now();
  const docs = store.learners
    .find({ 'memberships.group': { $in: groups }, ...(after !== undefined && { _id: { $gt: after } }) })
    .sort({ _id: 1 });
  for await (const doc of docs) {
    yield* memberViews(toLearner(doc), structure, ({ group }) => wanted.has(group), effective ? now : undefined);
  }
}

/** The learner's memberships in the wanted groups; `validAt`: those valid then alone. */
export function memberViews(
  { id, externalId, email, memberships }: Learner,
  structure: Structure,
  isWanted: (membership: Membership) => boolean,
  validAt: Date | undefined,
): MemberView[] {
  return memberships
    .filter((membership) => isWanted(membership) && (!validAt || isValid(membership, validAt)))
    .map(({ group, sources }) => ({
      id: `id:${id}`,
      externalId: externalId ?? null,
      email: email ?? null,
      group: keyOf(structure.group(group) ?? { id: group }),
      sources: sources.map(({ source, from, until }) => ({
        source,
        validFrom: from ?? null,
        validUntil: until ?? null,
      })),
    }));
}

/** One group of the tree, with what lies below it. */
export interface TreeNode {
  readonly group: string;
  readonly name: string;
  readonly courses: readonly string[];
  readonly children: readonly TreeNode[];
}

/**
 * The groups at the top, or those below `root`, each with what lies below it. What hangs on nothing, or lies in a
 * circle, as it never should, stands at the top too, so that it can be seen and mended.
 */
export function treeOf(structure: Structure, courses: ReadonlyMap<CourseId, Course>, root?: GroupId): TreeNode[] {
  const seen = new Set<GroupId>();
  const node = (group: Group): TreeNode => {
    seen.add(group.id);
    return {
      group: keyOf(group),
      name: group.name,
      courses: group.courses.map((course) => keyIn(courses, course)),
      children: nodes(structure.children(group.id)),
    };
  };
  const nodes = (ids: readonly GroupId[]): TreeNode[] =>
    ids
      .flatMap((id) => (seen.has(id) ? [] : (structure.group(id) ?? [])))
      .map(node)
      .sort((a, b) => compare(a.name, b.name) || compare(a.group, b.group));
  if (root !== undefined) return nodes([root]);
  const all = [...structure.groups];
  const isTop = ({ parent }: Group) => parent === undefined || !structure.group(parent);
  const tops = nodes(all.filter(isTop).map(({ id }) => id));
  return [...tops, ...all.flatMap(({ id }) => nodes([id]))];
}
