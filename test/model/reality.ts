import type { RemovalOption } from '../../src/domain/change.ts';
import type { CourseId, ExternalId, GroupId, LearnerId, RunId } from '../../src/domain/ids.ts';
import { approveRun, rejectRun, StalePlan } from '../../src/run/approval.ts';
import { enqueueRun } from '../../src/run/enqueue.ts';
import { grantCourse, revokeCourse } from '../../src/run/grants.ts';
import { addLearner, addMembers, moveLearner, removeMembers } from '../../src/run/memberships.ts';
import { recordProgress } from '../../src/run/progress.ts';
import { createGroup, deleteGroup, linkCourses, moveGroup, unlinkCourses } from '../../src/run/structureChange.ts';
import { settleDueWindows } from '../../src/run/windows.ts';
import { readRun } from '../../src/store/runs.ts';
import { readCourses, readStructure } from '../../src/store/structure.ts';
import type { TestMuster } from '../harness.ts';
import type { FeedRules, Row, Span } from './model.ts';
import type { World } from './operations.ts';
import { COURSES } from './operations.ts';

const by = 'test';
const OFF = [
  'membershipsLostPercent',
  'membershipsRemovedPercent',
  'membershipsAddedPercent',
  'emptiedGroups',
  'groupRemovedPercent',
]
  .concat([
    'deactivatedPercent',
    'createdPercent',
    'identityChangedPercent',
    'purged',
    'rowsPercent',
    'rejectedPercent',
    'unrecognised',
  ])
  .concat(['removed24hPercent', 'removed7dPercent', 'allFeeds24hPercent'])
  .map((name) => `${name}: off`)
  .join(', ');

/** One world in the real store. Its names bear a prefix, so that one database serves many sequences. */
export class Reality {
  readonly #muster: TestMuster;
  readonly #prefix: string;
  readonly #start: number;

  constructor(muster: TestMuster, prefix: string) {
    this.#muster = muster;
    this.#prefix = prefix;
    this.#start = muster.clock.now().getTime();
  }

  async build({ groups, feeds }: World): Promise<void> {
    const id = (name: string) => this.#name(name) as ExternalId;
    await this.#muster.structure({
      courses: COURSES.map((name) => ({ externalId: id(name), name })),
      groups: groups.map(([name, parent, courses]) => ({
        externalId: id(name),
        name,
        ...(parent !== null && { parent: id(parent) }),
        courses: courses.map(id),
      })),
    });
    for (const feed of feeds) await this.#muster.feed(this.#settings(feed));
  }

  #settings({ name, delta, leaver, graceDays, moved, maxRemoved }: FeedRules): string {
    return [
      `name: ${this.#prefix}${name}`,
      `mode: ${delta ? 'delta' : 'full'}`,
      delta ? 'action: { column: Action, add: [add], remove: [remove] }' : '',
      `learner: { externalId: Id${delta ? '' : ', status: { column: Status, active: [A], left: [T] }'} }`,
      'groups: [{ column: Groups, separator: ";" }]',
      'window: { from: From, until: Until, dateFormat: iso }',
      `leaver: { courses: ${leaver}, graceDays: ${graceDays} }`,
      `moved: { courses: ${moved} }`,
      `guard: { ${OFF}, membershipsRemoved: ${maxRemoved} }`,
    ].join('\n');
  }

  #name(name: string): string {
    return `${this.#prefix}${name}`;
  }

  #group(name: string): Promise<GroupId> {
    return this.#muster.group(this.#name(name));
  }

  #course(name: string): Promise<CourseId> {
    return this.#muster.course(this.#name(name));
  }

  #learner(name: string): Promise<LearnerId> {
    return this.#muster.learner(this.#name(name));
  }

  #learners(names: readonly string[]): Promise<LearnerId[]> {
    return Promise.all(names.map((name) => this.#learner(name)));
  }

  get #services() {
    return this.#muster.context;
  }

  // ——— feeds

  /** The run, the state that it has come to rest in, and whether it says 'no change'. */
  async night(
    { name, delta }: FeedRules,
    rows: readonly Row[],
  ): Promise<{ id: RunId; state: string; noChange: boolean }> {
    const text = rows.map((row) => this.#line(row, delta)).join('');
    const read = await this.#muster.read(`Id,${delta ? 'Action' : 'Status'},Groups,From,Until\n${text}`, {
      feed: this.#name(name),
    });
    const run = await this.#muster.settled(read._id);
    return { id: run._id, state: run.state, noChange: (run.outcome as { noChange: boolean }).noChange };
  }

  #line({ who, groups, span, left, remove, broken }: Row, delta: boolean): string {
    const mark = delta ? (remove ? 'remove' : 'add') : left ? 'T' : 'A';
    const named = groups.map((one) => this.#name(one)).join(';');
    return `${this.#name(who)},${mark},${named},${broken ? 'soon' : this.#date(span.from)},${this.#date(span.until)}\n`;
  }

  #date(ms: number | undefined): string {
    return ms === undefined ? '' : new Date(this.#start + ms).toISOString();
  }

  /** `stale`, or the state that the approved run has come to rest in. */
  async approve(id: RunId): Promise<string> {
    const { store, queues } = this.#muster;
    try {
      await approveRun(this.#services, id, by);
    } catch (error) {
      if (error instanceof StalePlan) return 'stale';
      throw error;
    }
    await enqueueRun(store, queues, id);
    return (await this.#muster.settled(id)).state;
  }

  async reject(id: RunId): Promise<void> {
    await rejectRun(this.#services, id, by);
  }

  async stateOf(id: RunId): Promise<string | undefined> {
    return (await readRun(this.#muster.store, id))?.state;
  }

  // ——— by hand

  async create(who: string): Promise<void> {
    const identity = { externalId: this.#name(who) as ExternalId, status: 'active' as const, attributes: {} };
    await addLearner(this.#services, { identity, by });
  }

  async add(who: readonly string[], group: string): Promise<void> {
    await addMembers(this.#services, { group: await this.#group(group), learners: await this.#learners(who), by });
  }

  async remove(who: readonly string[] | 'all', group: string, courses: RemovalOption): Promise<void> {
    const learners = who === 'all' ? who : await this.#learners(who);
    await removeMembers(this.#services, { group: await this.#group(group), learners, courses, by });
  }

  async move(who: string, from: string, to: string): Promise<void> {
    const [learner] = await this.#learners([who]);
    await moveLearner(this.#services, {
      learner: learner as LearnerId,
      from: await this.#group(from),
      to: await this.#group(to),
      by,
    });
  }

  async link(group: string, courses: readonly string[]): Promise<void> {
    await linkCourses(this.#services, {
      group: await this.#group(group),
      courses: await Promise.all(courses.map((one) => this.#course(one))),
      by,
    });
  }

  async unlink(group: string, courses: readonly string[], option: RemovalOption): Promise<void> {
    const ids = await Promise.all(courses.map((one) => this.#course(one)));
    await unlinkCourses(this.#services, { group: await this.#group(group), courses: ids, option, by });
  }

  async moveGroup(group: string, parent: string | null, courses: RemovalOption): Promise<void> {
    const above = parent === null ? null : await this.#group(parent);
    await moveGroup(this.#services, { group: await this.#group(group), parent: above, courses, by });
  }

  async deleteGroup(group: string, courses: RemovalOption): Promise<void> {
    await deleteGroup(this.#services, { group: await this.#group(group), courses, by });
  }

  async createGroup(name: string, parent: string | null): Promise<void> {
    const externalId = this.#name(name) as ExternalId;
    await createGroup(this.#services, {
      name,
      externalId,
      ...(parent !== null && { parent: await this.#group(parent) }),
      by,
    });
  }

  async grant(who: readonly string[], course: string): Promise<void> {
    await grantCourse(this.#services, { learners: await this.#learners(who), course: await this.#course(course), by });
  }

  async revoke(who: readonly string[], course: string, option: 'expire' | 'purge'): Promise<void> {
    await revokeCourse(this.#services, {
      learners: await this.#learners(who),
      course: await this.#course(course),
      option,
      by,
    });
  }

  async progress(who: string, course: string): Promise<void> {
    await recordProgress(this.#services, {
      learner: await this.#learner(who),
      course: await this.#course(course),
      completion: 50,
    });
  }

  async forward(ms: number): Promise<void> {
    this.#muster.clock.forward(ms);
    await settleDueWindows(this.#services);
  }

  // ——— what is compared

  async facts(): Promise<Record<string, unknown>> {
    const { store } = this.#muster;
    const structure = await readStructure(store);
    const courses = await readCourses(store);
    const short = (id: string | undefined) => (id ?? '?').slice(this.#prefix.length);
    const groupName = (id: GroupId) => short(structure.group(id)?.externalId);
    const courseName = (id: CourseId) => short(courses.get(id)?.externalId);
    const source = (name: string) => (name === 'manual' ? name : short(name));
    const facts: Record<string, unknown> = {};
    for await (const doc of store.learners
      .find({ externalId: new RegExp(`^${this.#prefix}`) })
      .sort({ externalId: 1 })) {
      const held = await store.subscriptions.findOne({ _id: doc._id });
      const results = await store.progress
        .find({ _id: { $gte: { learner: doc._id } as never, $lt: { learner: doc._id + 1 } as never } })
        .toArray();
      facts[short(doc.externalId)] = {
        active: doc.status === 'active',
        memberships: doc.memberships
          .flatMap(({ group, sources }) =>
            sources.map(
              (one) =>
                `${groupName(group)} ${source(one.source)} ${one.from?.toISOString() ?? null} ${one.until?.toISOString() ?? null}`,
            ),
          )
          .sort(),
        subscriptions: (held?.items ?? [])
          .map(({ course, status, direct }) => `${courseName(course)} ${status === 'active'} ${direct}`)
          .sort(),
        progress: results.map(({ _id }) => courseName(_id.course)).sort(),
      };
    }
    return facts;
  }

  /** Work that waits, and operations that were set aside: there must be none. */
  async unfinished(): Promise<number> {
    const { store } = this.#muster;
    return (await store.outbox.countDocuments({})) + (await store.setAside.countDocuments({}));
  }

  moment({ from, until }: Span): Span {
    return {
      ...(from !== undefined && { from: this.#start + from }),
      ...(until !== undefined && { until: this.#start + until }),
    };
  }
}
