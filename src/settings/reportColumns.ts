/** What a report is about: one row each. */
export const SUBJECTS = ['learners', 'subscriptions', 'progress', 'memberships', 'runs'] as const;
export type Subject = (typeof SUBJECTS)[number];

export interface Column {
  /** What stands above it. */
  readonly title: string;
  /** `list`: several values in one cell, so that nothing can be ordered or summed up by it. */
  readonly type: 'text' | 'number' | 'date' | 'flag' | 'list';
  /** The report has a row for each of these that a row's subject has. */
  readonly each?: 'group' | 'activity';
}

const text = (title: string): Column => ({ title, type: 'text' });
const number = (title: string): Column => ({ title, type: 'number' });
const date = (title: string): Column => ({ title, type: 'date' });
const flag = (title: string): Column => ({ title, type: 'flag' });

const PERSON = {
  learner: text('Learner'),
  externalId: text('External ID'),
  email: text('E-mail'),
  firstName: text('First name'),
  lastName: text('Last name'),
  groups: { title: 'Groups', type: 'list' },
  group: { title: 'Group', type: 'text', each: 'group' },
  groupName: { title: 'Group name', type: 'text', each: 'group' },
} as const satisfies Record<string, Column>;

const COURSE = {
  course: text('Course'),
  courseName: text('Course name'),
  subenvironment: text('Subenvironment'),
  completion: number('Completion %'),
  score: number('Score'),
} as const satisfies Record<string, Column>;

/** Every column of each subject, in the order of the help. `attributes.NAME` are columns too, but of `runs`. */
export const COLUMNS = {
  learners: {
    ...PERSON,
    status: text('Status'),
    activeCourses: number('Active courses'),
    expiredCourses: number('Expired courses'),
  },
  subscriptions: {
    ...PERSON,
    learnerStatus: text('Learner status'),
    ...COURSE,
    status: text('Status'),
    since: date('Since'),
    direct: flag('Direct grant'),
    through: { title: 'Through', type: 'list' },
  },
  progress: {
    ...PERSON,
    learnerStatus: text('Learner status'),
    ...COURSE,
    updatedAt: date('Last result'),
    activity: { title: 'Activity', type: 'text', each: 'activity' },
    activityCompletion: { title: 'Activity completion %', type: 'number', each: 'activity' },
    activityScore: { title: 'Activity score', type: 'number', each: 'activity' },
  },
  memberships: {
    ...PERSON,
    learnerStatus: text('Learner status'),
    status: text('Status'),
    sources: { title: 'Sources', type: 'list' },
    validFrom: date('Valid from'),
    validUntil: date('Valid until'),
  },
  runs: {
    run: text('Run'),
    feed: text('Feed'),
    kind: text('Kind'),
    state: text('State'),
    preview: flag('Preview'),
    noChange: flag('No change'),
    by: text('By'),
    createdAt: date('Created'),
    startedAt: date('Started'),
    finishedAt: date('Finished'),
    seconds: number('Seconds'),
    read: number('Rows read'),
    rejected: number('Rows rejected'),
    created: number('Learners created'),
    updated: number('Learners updated'),
    deactivated: number('Learners deactivated'),
    membershipsAdded: number('Memberships added'),
    membershipsRemoved: number('Memberships removed'),
    subscribed: number('Subscribed'),
    expired: number('Expired'),
    purged: number('Purged'),
    error: text('Error'),
  },
} as const satisfies Record<Subject, Record<string, Column>>;

/** The columns of a report that names none. */
export const USUAL_COLUMNS: Readonly<Record<Subject, readonly string[]>> = {
  learners: ['learner', 'email', 'firstName', 'lastName', 'status', 'groups', 'activeCourses'],
  subscriptions: ['learner', 'email', 'firstName', 'lastName', 'course', 'courseName', 'status', 'since', 'completion'],
  progress: ['learner', 'email', 'firstName', 'lastName', 'course', 'courseName', 'completion', 'score', 'updatedAt'],
  memberships: ['learner', 'email', 'firstName', 'lastName', 'group', 'groupName', 'status', 'validFrom', 'validUntil'],
  runs: ['run', 'feed', 'kind', 'state', 'by', 'createdAt', 'finishedAt', 'membershipsAdded', 'membershipsRemoved'],
};

export const FIGURES = ['count', 'learners', 'sum', 'average', 'min', 'max'] as const;
export type Figure = (typeof FIGURES)[number];
/** Figures of the rows themselves, rather than of a column: how many, and of how many learners. */
export const OF_ROWS: readonly Figure[] = ['count', 'learners'];

/** `count`, or what is made of a column of numbers or dates: `average completion`. */
export function readFigure(name: string): { figure: Figure; of?: string } {
  const [figure = '', of] = name.split(/ +(.*)/);
  return { figure: figure as Figure, ...(of !== undefined && { of }) };
}

const ATTRIBUTE = 'attributes.';

/** `attributes.department` → `department`. */
export function attributeOf(column: string): string | undefined {
  return column.startsWith(ATTRIBUTE) ? column.slice(ATTRIBUTE.length) : undefined;
}

/** A column of the subject; undefined where it has none of that name. */
export function columnOf(subject: Subject, name: string): Column | undefined {
  const columns: Readonly<Record<string, Column>> = COLUMNS[subject];
  if (Object.hasOwn(columns, name)) return columns[name];
  const attribute = subject === 'runs' ? undefined : attributeOf(name);
  return attribute ? { title: attribute, type: 'text' } : undefined;
}
