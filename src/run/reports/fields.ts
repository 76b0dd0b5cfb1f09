import { through } from '../../domain/entitlement.ts';
import type { CourseId } from '../../domain/ids.ts';
import type { Membership } from '../../domain/learner.ts';
import { attributeOf, type Subject } from '../../settings/reportColumns.ts';
import type { Sight } from '../sight.ts';
import { keyOf } from '../views/key.ts';
import { compare } from '../views/learnerView.ts';

/** An expression of MongoDB. */
export type Expression = unknown;

/** What a column is in the database. */
export interface Field {
  readonly value: Expression;
  /** The value is the number of a group or course, and the cell this of it. */
  readonly shows?: { readonly of: 'group' | 'course'; readonly as: 'key' | 'name' | 'subenvironment' };
  /** The cell is made here, of a value that is more than it shows. */
  readonly cell?: (value: unknown, sight: Sight, now: Date) => string[];
  /** What has to be read besides the subject itself. */
  readonly needs?: 'progress' | 'held';
}

/** The documents that expressions speak of: `$learner`, `$item` (a subscription), `$progress`, `$membership`, `$activity`, `$run`. */
const key = (path: string) => ({
  $ifNull: [`$${path}.externalId`, { $concat: ['id:', { $toString: `$${path}._id` }] }],
});
const group = (as: 'key' | 'name'): Field => ({ value: '$membership.group', shows: { of: 'group', as } });
const course = (as: 'key' | 'name' | 'subenvironment', path: string): Field => ({
  value: `$${path}`,
  shows: { of: 'course', as },
});
const counted = (status: string): Field => ({
  value: {
    $size: { $filter: { input: '$held', as: 'one', cond: { $eq: ['$$one.status', status] } } },
  },
  needs: 'held',
});
/** A figure of what a run read, or has done: a plan that was not applied has done nothing. */
const read = (path: string): Field => ({ value: { $ifNull: [`$run.outcome.${path}`, `$run.report.${path}`] } });
const figure = (path: string): Field => ({
  value: { $cond: [{ $eq: ['$run.state', 'completed'] }, read(path).value, null] },
});

const PERSON: Readonly<Record<string, Field>> = {
  learner: { value: key('learner') },
  externalId: { value: '$learner.externalId' },
  email: { value: '$learner.email' },
  firstName: { value: '$learner.firstName' },
  lastName: { value: '$learner.lastName' },
  groups: { value: '$learner.memberships.group', shows: { of: 'group', as: 'key' } },
  group: group('key'),
  groupName: group('name'),
  learnerStatus: { value: '$learner.status' },
};

/** The first (`$min`) or last boundary of a membership's sources, null where one of them is open there. */
function boundary(side: 'from' | 'until', of: '$min' | '$max'): Expression {
  const sides = { $map: { input: '$membership.sources', as: 'source', in: { $ifNull: [`$$source.${side}`, null] } } };
  return { $cond: [{ $in: [null, sides] }, null, { [of]: sides }] };
}

/** Is the membership valid now (by any source), or will it be? */
function membershipStatus(now: Date): Expression {
  const some = (cond: Expression) => ({
    $anyElementTrue: { $map: { input: '$membership.sources', as: 'source', in: cond } },
  });
  const notOver = { $or: [{ $eq: [{ $type: '$$source.until' }, 'missing'] }, { $gt: ['$$source.until', now] }] };
  const begun = { $lte: [{ $ifNull: ['$$source.from', now] }, now] };
  return {
    $cond: [some({ $and: [begun, notOver] }), 'current', { $cond: [some(notOver), 'future', 'past'] }],
  };
}

/** The groups that give the course now, as far as they are seen. */
function throughOf(value: unknown, { structure, seesGroup }: Sight, now: Date): string[] {
  const { course, memberships } = value as { course: CourseId; memberships: readonly Membership[] };
  return through(course, memberships, structure, now)
    .filter(seesGroup)
    .map((id) => keyOf(structure.group(id) ?? { id }))
    .sort(compare);
}

const FIELDS: Readonly<Record<Subject, (now: Date) => Readonly<Record<string, Field>>>> = {
  learners: () => ({
    ...PERSON,
    status: { value: '$learner.status' },
    activeCourses: counted('active'),
    expiredCourses: counted('expired'),
  }),
  subscriptions: () => ({
    ...PERSON,
    course: course('key', 'item.course'),
    courseName: course('name', 'item.course'),
    subenvironment: course('subenvironment', 'item.course'),
    // Who has done nothing yet has done 0 %.
    completion: { value: { $ifNull: ['$progress.completion', 0] }, needs: 'progress' },
    score: { value: '$progress.score', needs: 'progress' },
    status: { value: '$item.status' },
    since: { value: '$item.since' },
    direct: { value: '$item.direct' },
    through: { value: { course: '$item.course', memberships: '$learner.memberships' }, cell: throughOf },
  }),
  progress: () => ({
    ...PERSON,
    course: course('key', 'progress._id.course'),
    courseName: course('name', 'progress._id.course'),
    subenvironment: course('subenvironment', 'progress._id.course'),
    completion: { value: '$progress.completion' },
    score: { value: '$progress.score' },
    updatedAt: { value: '$progress.updatedAt' },
    activity: { value: '$activity.name' },
    activityCompletion: { value: '$activity.completion' },
    activityScore: { value: '$activity.score' },
  }),
  memberships: (now) => ({
    ...PERSON,
    status: { value: membershipStatus(now) },
    sources: { value: { $setUnion: ['$membership.sources.source'] } },
    validFrom: { value: boundary('from', '$min') },
    validUntil: { value: boundary('until', '$max') },
  }),
  runs: () => ({
    run: { value: '$run._id' },
    feed: { value: '$run.feed' },
    kind: { value: '$run.kind' },
    state: { value: '$run.state' },
    preview: { value: '$run.preview' },
    noChange: { value: { $ifNull: ['$run.outcome.noChange', false] } },
    by: { value: '$run.by' },
    createdAt: { value: '$run.createdAt' },
    startedAt: { value: '$run.startedAt' },
    finishedAt: { value: '$run.finishedAt' },
    seconds: { value: { $divide: [{ $subtract: ['$run.finishedAt', '$run.startedAt'] }, 1000] } },
    read: read('rows.read'),
    rejected: read('rows.rejected'),
    created: figure('learners.created'),
    updated: figure('learners.updated'),
    deactivated: figure('learners.deactivated'),
    membershipsAdded: figure('memberships.added'),
    membershipsRemoved: figure('memberships.removed'),
    subscribed: figure('subscriptions.subscribed'),
    expired: figure('subscriptions.expired'),
    purged: figure('subscriptions.purged'),
    error: { value: '$run.error.code' },
  }),
};

/** The fields of a subject's columns at this moment. */
export function fieldsOf(what: Subject, now: Date): (column: string) => Field {
  const fields = FIELDS[what](now);
  return (column) => {
    const attribute = attributeOf(column);
    if (attribute === undefined) return fields[column] as Field;
    return { value: attributeIn('$learner.attributes', attribute) };
  };
}

/** The value of an attribute, which may be called anything. */
export function attributeIn(attributes: string, name: string): Expression {
  return { $getField: { field: { $literal: name }, input: attributes } };
}
