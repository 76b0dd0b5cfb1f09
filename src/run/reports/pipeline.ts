import { momentOf } from '../../settings/moment.ts';
import { columnsOf, dateColumnOf, type ReportSettings } from '../../settings/report.ts';
import { columnOf, type Figure, readFigure } from '../../settings/reportColumns.ts';
import type { Sight } from '../sight.ts';
import { attributeIn, type Expression, type Field, fieldsOf } from './fields.ts';
import { keysOf } from './keys.ts';
import type { Scope } from './names.ts';
import { type Stretch, stretchOf } from './period.ts';

type Stage = Record<string, unknown>;

/** What is asked of MongoDB: all filtering, grouping and ordering is its work, with disk where memory is not enough. */
export interface Query {
  readonly from: 'learners' | 'subscriptions' | 'progress' | 'runs';
  readonly stages: Stage[];
  /** Texts are ordered as people order them, rather than by code units. */
  readonly collated: boolean;
}

/** Rows come as `{ c0, c1, … }`, in the order of `columnsOf`. */
export function queryOf(report: ReportSettings, scope: Scope, sight: Sight, now: Date): Query {
  const fields = fieldsOf(report.what, now);
  const used = usedColumns(report);
  const { from, stages } = sourceOf(report, scope, new Set(used.flatMap((name) => fields(name).needs ?? [])));
  stages.push(...restOf(report, scope, used, fields, now));
  const { shape, sort } = report.summary ? summed(report, fields, sight) : listed(report, fields, sight);
  stages.push(...shape);
  if (sort) stages.push({ $sort: sort });
  return { from, stages, collated: sort !== undefined };
}

/** Every column whose value has to be known. */
function usedColumns(report: ReportSettings): string[] {
  const { summary, order = [], filter } = report;
  const shown = summary
    ? [...summary.by, ...summary.figures.flatMap((name) => readFigure(name).of ?? [])]
    : [...columnsOf(report), ...order.map(plain)];
  const filtered = [dateColumnOf(report), filter.completion && 'completion'];
  return [...new Set([...shown, ...filtered.filter((name) => name !== undefined)])];
}

const plain = (order: string) => order.replace(/^-/, '');

/** `$learner` with what belongs to it, from where the fewest documents have to be read. In the order of learners. */
function sourceOf(
  { what, filter, order, summary }: ReportSettings,
  { groups, courses }: Scope,
  needs: ReadonlySet<NonNullable<Field['needs']>>,
): { from: Query['from']; stages: Stage[] } {
  const inOrder = order || summary ? [] : [{ $sort: { _id: 1 } }];
  if (what === 'runs') {
    const { state, feeds } = filter;
    const match = { ...(state && { state: { $in: state } }), ...(feeds && { feed: { $in: feeds } }) };
    const newest = order || summary ? [] : [{ $sort: { createdAt: -1 } }];
    return { from: 'runs', stages: [{ $match: match }, ...newest, { $project: { _id: 0, run: RUN } }] };
  }
  const status = what === 'learners' ? filter.status && { $in: filter.status } : filter.learnerStatus;
  const attributes = (input: string) => {
    const conditions = Object.entries(filter.attributes ?? {}).map(([name, values]) => ({
      $in: [{ $ifNull: [attributeIn(input, name), ''] }, { $literal: values }],
    }));
    return conditions.length > 0 ? { $expr: { $and: conditions } } : {};
  };
  const results = needs.has('progress') ? [lookUp('progress', '_id.learner', 'results')] : [];
  const course = courses && { $in: [...courses] };
  const item = {
    ...(course && { course }),
    ...(what === 'subscriptions' && filter.status && { status: { $in: filter.status } }),
  };
  const hasItem = Object.keys(item).length > 0;
  const ofItem = [
    { $unwind: '$item' },
    ...(hasItem ? [{ $match: { $and: Object.entries(item).map(([key, is]) => ({ [`item.${key}`]: is })) } }] : []),
    ...(needs.has('progress') ? [{ $addFields: { progress: RESULT } }] : []),
  ];
  if (groups === null && (what === 'subscriptions' || what === 'progress')) {
    const those = { ...(status !== undefined && { 'learner.status': status }), ...attributes('$learner.attributes') };
    const ofLearner = [{ $unwind: '$learner' }, ...(Object.keys(those).length > 0 ? [{ $match: those }] : [])];
    if (what === 'progress') {
      const match = course ? [{ $match: { '_id.course': course } }] : [];
      return {
        from: 'progress',
        stages: [
          ...match,
          ...inOrder,
          { $project: { _id: '$_id.learner', progress: '$$ROOT' } },
          lookUp('learners', '_id', 'learner'),
          ...ofLearner,
        ],
      };
    }
    const match = hasItem ? [{ $match: { items: { $elemMatch: item } } }] : [];
    return {
      from: 'subscriptions',
      stages: [
        ...match,
        ...inOrder,
        { $project: { item: '$items' } },
        lookUp('learners', '_id', 'learner'),
        ...ofLearner,
        ...results,
        ...ofItem,
      ],
    };
  }
  const match = {
    ...(groups && { 'memberships.group': { $in: [...groups] } }),
    ...(status !== undefined && { status }),
    ...attributes('$attributes'),
  };
  const stages: Stage[] = [{ $match: match }, ...inOrder, { $project: { learner: LEARNER } }];
  if (what === 'progress') {
    stages.push(lookUp('progress', '_id.learner', 'progress'), { $unwind: '$progress' });
    if (course) stages.push({ $match: { 'progress._id.course': course } });
  }
  if (what === 'subscriptions' || needs.has('held'))
    stages.push(lookUp('subscriptions', '_id', 'held'), {
      $addFields: { held: { $ifNull: [{ $first: '$held.items' }, []] } },
    });
  if (what === 'subscriptions') stages.push(...results, { $addFields: { item: '$held' } }, ...ofItem);
  else if (courses && needs.has('held'))
    stages.push({ $addFields: { held: { $filter: { input: '$held', cond: among(courses, '$$this.course') } } } });
  return { from: 'learners', stages };
}

/** What a row may need of a learner, and of a run. */
const LEARNER = ofNames(['_id', 'externalId', 'email', 'firstName', 'lastName', 'status', 'attributes', 'memberships']);
const FIGURES_OF_RUN = ['rows', 'learners', 'memberships', 'subscriptions'];
const RUN = {
  ...ofNames(['_id', 'feed', 'kind', 'state', 'preview', 'by', 'createdAt', 'startedAt', 'finishedAt', 'error']),
  outcome: ofNames([...FIGURES_OF_RUN, 'noChange'], 'outcome.'),
  report: ofNames(FIGURES_OF_RUN, 'report.'),
};
/** The results of the course that the row is about. */
const RESULT = {
  $first: { $filter: { input: '$results', cond: { $eq: ['$$this._id.course', '$item.course'] } } },
};

function ofNames(names: readonly string[], path = ''): Readonly<Record<string, string>> {
  return Object.fromEntries(names.map((name) => [name, `$${path}${name}`]));
}

function lookUp(from: string, foreignField: string, as: string): Stage {
  return { $lookup: { from, localField: '_id', foreignField, as } };
}

/** Is the number among these? A look-up by place, whatever their number. */
function among(ids: ReadonlySet<number>, value: string): Expression {
  return { $eq: [byPlace(new Map([...ids].map((id) => [id, 1])), value), 1] };
}

/** What a number stands for: the array has it at that place. Groups and courses are numbered from 1, and few. */
function byPlace(of: ReadonlyMap<number, number>, value: Expression): Expression {
  const places: (number | null)[] = Array(Math.max(0, ...of.keys()) + 1).fill(null);
  for (const [id, stands] of of) places[id] = stands;
  return { $arrayElemAt: [{ $literal: places }, value] };
}

/** A row for each group or activity, and what can be told only of such a row. */
function restOf(
  report: ReportSettings,
  { groups }: Scope,
  used: readonly string[],
  fields: (column: string) => Field,
  now: Date,
): Stage[] {
  const { what, filter } = report;
  const each = new Set(used.map((name) => columnOf(what, name)?.each));
  const stages: Stage[] = [];
  if (each.has('group') || what === 'memberships') {
    const input = '$learner.memberships';
    const membership = groups ? { $filter: { input, cond: among(groups, '$$this.group') } } : input;
    stages.push(
      { $addFields: { membership } },
      { $unwind: { path: '$membership', preserveNullAndEmptyArrays: groups === null && what !== 'memberships' } },
    );
  }
  if (each.has('activity'))
    stages.push(
      { $addFields: { activity: '$progress.activities' } },
      { $unwind: { path: '$activity', preserveNullAndEmptyArrays: true } },
    );
  const conditions: Expression[] = [];
  const { completion, status } = filter;
  if (what === 'memberships' && status) conditions.push({ $in: [fields('status').value, status] });
  if (completion?.atLeast !== undefined) conditions.push({ $gte: [fields('completion').value, completion.atLeast] });
  if (completion?.below !== undefined) conditions.push({ $lt: [fields('completion').value, completion.below] });
  const dated = dateColumnOf(report);
  if (dated !== undefined) {
    const { value } = fields(dated);
    const { from, until } = datesOf(report, now);
    conditions.push({ $gt: [value, null] });
    if (from) conditions.push({ $gte: [value, from] });
    if (until) conditions.push({ $lt: [value, until] });
  }
  if (conditions.length > 0) stages.push({ $match: { $expr: { $and: conditions } } });
  return stages;
}

function datesOf({ filter: { dates }, schedule: { timeZone } }: ReportSettings, now: Date): Stretch {
  if (dates?.period) return stretchOf(dates.period, now, timeZone);
  return {
    ...(dates?.from !== undefined && { from: momentOf(dates.from, timeZone) }),
    ...(dates?.until !== undefined && { until: momentOf(dates.until, timeZone) }),
  };
}

interface Shape {
  readonly shape: Stage[];
  readonly sort: Record<string, 1 | -1> | undefined;
}

/** What orders a cell's value: itself, or the place of the group's or course's name among all. */
function orderBy({ shows }: Pick<Field, 'shows'>, value: Expression, sight: Sight): Expression {
  return shows ? byPlace(keysOf(shows, sight).places, value) : value;
}

/** A row each. Rows that are alike in what they are ordered by come in the order of learners. */
function listed(report: ReportSettings, fields: (column: string) => Field, sight: Sight): Shape {
  const shape: Stage = { _id: 0 };
  for (const [at, name] of columnsOf(report).entries()) shape[`c${at}`] = fields(name).value;
  if (!report.order) return { shape: [{ $project: shape }], sort: undefined };
  const sort: Shape['sort'] = {};
  for (const [at, text] of report.order.entries()) {
    const field = fields(plain(text));
    shape[`o${at}`] = orderBy(field, field.value, sight);
    sort[`o${at}`] = text.startsWith('-') ? -1 : 1;
  }
  const last =
    report.what === 'runs'
      ? { t: '$run.createdAt' }
      : { t: '$learner._id', u: '$item.course', v: '$progress._id.course' };
  for (const [name, value] of Object.entries(last)) {
    shape[name] = value;
    sort[name] = 1;
  }
  return { shape: [{ $project: shape }], sort };
}

/**
 * How a figure is added up: of rows into parts, of parts into more of them, and what it is in the end. Parts, so that the
 * rows of one learner can be added up first where learners are counted.
 */
interface Sum {
  readonly rows: Expression;
  readonly parts: (part: string) => Expression;
}

function sumsOf(figure: Figure, value: Expression): readonly Sum[] {
  const added = (rows: Expression): Sum => ({ rows: { $sum: rows }, parts: (part) => ({ $sum: part }) });
  switch (figure) {
    case 'count':
      return [added(1)];
    case 'learners':
      return [{ rows: { $max: 1 }, parts: (part) => ({ $sum: part }) }];
    case 'sum':
      return [added(value)];
    case 'average':
      return [added(value), added({ $cond: [{ $isNumber: value }, 1, 0] })];
    default:
      return [{ rows: { [`$${figure}`]: value }, parts: (part) => ({ [`$${figure}`]: part }) }];
  }
}

/** A row for all that have the same in the columns of the summary. */
function summed(report: ReportSettings, fields: (column: string) => Field, sight: Sight): Shape {
  const { by, figures } = report.summary as NonNullable<ReportSettings['summary']>;
  const group: Record<string, Expression> = {
    // Groups and courses are one where what is shown of them is: by their place, not by their number.
    _id: Object.fromEntries(
      by.map((name, at) => [`b${at}`, { $ifNull: [orderBy(fields(name), fields(name).value, sight), null] }]),
    ),
  };
  const again: Record<string, Expression> = { _id: '$_id.by' };
  const shape: Stage = { _id: 0 };
  for (const at of by.keys()) shape[`c${at}`] = `$_id.b${at}`;
  for (const [at, name] of figures.entries()) {
    const { figure, of } = readFigure(name);
    for (const [part, { rows, parts }] of sumsOf(figure, of === undefined ? 1 : fields(of).value).entries()) {
      group[`f${at}_${part}`] = rows;
      again[`f${at}_${part}`] = parts(`$f${at}_${part}`);
    }
    const [sum, count] = [`$f${at}_0`, `$f${at}_1`];
    shape[`c${by.length + at}`] =
      figure === 'average' ? { $cond: [{ $gt: [count, 0] }, { $divide: [sum, count] }, null] } : sum;
  }
  const sort: Shape['sort'] = {};
  const names = [...by, ...figures];
  for (const text of [...(report.order ?? []), ...by]) {
    const at = names.indexOf(plain(text));
    if (`o${at}` in sort) continue;
    shape[`o${at}`] = shape[`c${at}`];
    sort[`o${at}`] = text.startsWith('-') ? -1 : 1;
  }
  // A set of all learners would be too large for one document: their rows are added up first, each once.
  const grouped = figures.includes('learners')
    ? [{ $group: { ...group, _id: { by: group._id, learner: '$learner._id' } } }, { $group: again }]
    : [{ $group: group }];
  return { shape: [...grouped, { $project: shape }], sort };
}
