import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { JobContext } from '../../../jobs/context.ts';
import {
  type CourseId,
  type ExternalId,
  type GroupId,
  type LearnerId,
  MANUAL,
  type RunId,
} from '../../../src/domain/ids.ts';
import { advanceRun } from '../../../src/run/advance.ts';
import { grantCourse, previewRevoke, revokeCourse } from '../../../src/run/grants.ts';
import {
  addLearner,
  addMembers,
  editLearner,
  moveLearner,
  previewRemoval,
  removeMembers,
} from '../../../src/run/memberships.ts';
import { recordProgress } from '../../../src/run/progress.ts';
import { deleteGroup, linkCourses, moveGroup, unlinkCourses } from '../../../src/run/structureChange.ts';
import { verify } from '../../../src/run/verify.ts';
import { latestRuns } from '../../../src/store/runs.ts';
import { COMPANY, HR, useMuster } from '../../harness.ts';

const muster = useMuster();
const by = 'tester';
let groups: Record<'all' | 'sector-a' | 'sector-b' | 'lone', GroupId>;
let courses: Record<'safety' | 'sales' | 'welcome', CourseId>;
let learner: LearnerId;
let name: string;
let count = 0;

beforeAll(async () => {
  await muster.structure(COMPANY);
  await muster.feed(HR);
  const ids = ['all', 'sector-a', 'sector-b', 'lone'] as const;
  groups = Object.fromEntries(await Promise.all(ids.map(async (id) => [id, await muster.group(id)]))) as typeof groups;
  const names = ['safety', 'sales', 'welcome'] as const;
  courses = Object.fromEntries(
    await Promise.all(names.map(async (id) => [id, await muster.course(id)])),
  ) as typeof courses;
});

beforeEach(async () => {
  count += 1;
  name = `p${count}`;
  const identity = {
    externalId: name as ExternalId,
    email: `${name}@x.org`,
    status: 'active' as const,
    attributes: {},
  };
  learner = await addLearner(muster.context, { identity, by });
});

async function completion(course: CourseId): Promise<number | undefined> {
  return (await muster.store.progress.findOne({ _id: { learner, course } }))?.completion;
}

async function subscription(course: CourseId) {
  const held = await muster.store.subscriptions.findOne({ _id: learner });
  return held?.items.find((item) => item.course === course);
}

describe('removing a learner from a group', () => {
  beforeEach(async () => {
    await addMembers(muster.context, { group: groups['sector-a'], learners: [learner], by });
    await recordProgress(muster.context, { learner, course: courses.safety, completion: 50, score: 80 });
  });

  test('R6: keep leaves every subscription active, as a direct grant', async () => {
    const { subscriptions } = await removeMembers(muster.context, {
      group: groups['sector-a'],
      learners: [learner],
      courses: 'keep',
      by,
    });
    expect(subscriptions).toMatchObject({ kept: 2, expired: 0 });
    expect(await muster.memberships(name)).toEqual([]);
    expect(await muster.subscriptions(name)).toEqual(['safety: active*', 'welcome: active*']);
  });

  test('R7: expire ends the subscriptions of the group and of those above, and saves progress; R3: coming back finds it', async () => {
    const { subscriptions } = await removeMembers(muster.context, {
      group: groups['sector-a'],
      learners: [learner],
      courses: 'expire',
      by,
    });
    expect(subscriptions).toMatchObject({ expired: 2 });
    expect(await muster.subscriptions(name)).toEqual(['safety: expired', 'welcome: expired']);
    expect(await completion(courses.safety)).toBe(50);
    await addMembers(muster.context, { group: groups['sector-b'], learners: [learner], by });
    expect(await muster.subscriptions(name)).toEqual(['safety: active', 'sales: active', 'welcome: active']);
    expect(await completion(courses.safety)).toBe(50);
  });

  test('R8 R11: purge deletes subscription and results, restorable for a while', async () => {
    const preview = await previewRemoval(muster.context, {
      group: groups['sector-a'],
      learners: [learner],
      courses: 'purge',
    });
    expect(preview).toMatchObject({ learners: 1, results: 1, counts: { purged: 2 }, skipped: [] });
    expect(await completion(courses.safety)).toBe(50);
    const { subscriptions } = await removeMembers(muster.context, {
      group: groups['sector-a'],
      learners: [learner],
      courses: 'purge',
      by,
    });
    expect(subscriptions).toMatchObject({ purged: 2 });
    expect(await muster.subscriptions(name)).toEqual([]);
    expect(await completion(courses.safety)).toBeUndefined();
    const purged = await muster.store.purged.find({ '_id.learner': learner }).toArray();
    expect(purged.find(({ _id }) => _id.course === courses.safety)).toMatchObject({
      progress: { completion: 50, score: 80 },
      until: new Date(muster.clock.now().getTime() + 30 * 86_400_000),
    });
  });

  test('R8: a purge skips a course that another group still gives, and says which', async () => {
    await addMembers(muster.context, { group: groups['sector-b'], learners: [learner], by });
    const { subscriptions, skipped } = await removeMembers(muster.context, {
      group: groups['sector-a'],
      learners: [learner],
      courses: 'purge',
      by,
    });
    expect(subscriptions).toMatchObject({ purged: 0, expired: 0 });
    expect(skipped).toContainEqual({ learner, course: courses.safety, through: [groups['sector-b']] });
    expect(await completion(courses.safety)).toBe(50);
  });

  test('R11: a preview of every option says what stays since another group gives it', async () => {
    await addMembers(muster.context, { group: groups['sector-b'], learners: [learner], by });
    const removal = { group: groups['sector-a'], learners: [learner] };
    for (const option of ['keep', 'expire', 'purge'] as const) {
      const preview = await previewRemoval(muster.context, { ...removal, courses: option });
      expect(preview).toMatchObject({ stay: 2, counts: { kept: 0, expired: 0, purged: 0 }, results: 0 });
      expect(preview.skipped).toContainEqual({ learner, course: courses.safety, through: [groups['sector-b']] });
    }
  });

  test('R9: a move leaves a course that both groups give untouched', async () => {
    const before = await subscription(courses.safety);
    muster.clock.forward(60_000);
    const { subscriptions } = await moveLearner(muster.context, {
      learner,
      from: groups['sector-a'],
      to: groups['sector-b'],
      by,
    });
    expect(subscriptions).toMatchObject({ subscribed: 1, expired: 0, reactivated: 0 });
    expect(await subscription(courses.safety)).toEqual(before);
    expect(await muster.memberships(name)).toEqual(['sector-b: manual']);
  });

  test('R9: adding first and removing later ends in the same state as a move', async () => {
    await addMembers(muster.context, { group: groups['sector-b'], learners: [learner], by });
    await removeMembers(muster.context, { group: groups['sector-a'], learners: [learner], courses: 'expire', by });
    expect(await muster.memberships(name)).toEqual(['sector-b: manual']);
    expect(await muster.subscriptions(name)).toEqual(['safety: active', 'sales: active', 'welcome: active']);
  });
});

describe('direct grants', () => {
  test('R2: a course stays while a direct grant gives it, and ends when nothing does', async () => {
    await grantCourse(muster.context, { course: courses.safety, learners: [learner], by });
    expect(await muster.subscriptions(name)).toEqual(['safety: active*']);
    await addMembers(muster.context, { group: groups['sector-a'], learners: [learner], by });
    await removeMembers(muster.context, { group: groups['sector-a'], learners: [learner], courses: 'purge', by });
    expect(await muster.subscriptions(name)).toEqual(['safety: active*']);
    await revokeCourse(muster.context, { course: courses.safety, learners: [learner], option: 'expire', by });
    expect(await muster.subscriptions(name)).toEqual(['safety: expired']);
  });

  test('R11: what ending a grant would do is said beforehand, and is what then happens', async () => {
    await grantCourse(muster.context, { course: courses.safety, learners: [learner], by });
    await recordProgress(muster.context, { learner, course: courses.safety, completion: 50 });
    const asked = { course: courses.safety, learners: [learner] };
    expect(await previewRevoke(muster.context, { ...asked, option: 'expire' })).toMatchObject({
      learners: 1,
      courses: 1,
      counts: { expired: 1, purged: 0 },
      results: 0,
      stay: 0,
    });
    expect(await previewRevoke(muster.context, { ...asked, option: 'purge' })).toMatchObject({
      counts: { expired: 0, purged: 1 },
      results: 1,
    });
    expect(await muster.subscriptions(name)).toEqual(['safety: active*']);
    await addMembers(muster.context, { group: groups['sector-a'], learners: [learner], by });
    const preview = await previewRevoke(muster.context, { ...asked, option: 'purge' });
    expect(preview).toMatchObject({ learners: 1, counts: { purged: 0 }, results: 0, stay: 1 });
    const { skipped } = await revokeCourse(muster.context, { ...asked, option: 'purge', by });
    expect(skipped).toEqual(preview.skipped);
    expect(await previewRevoke(muster.context, { ...asked, option: 'purge' })).toMatchObject({ learners: 0 });
  });

  test('R2: revoking a grant leaves what a group gives', async () => {
    await addMembers(muster.context, { group: groups['sector-a'], learners: [learner], by });
    await grantCourse(muster.context, { course: courses.safety, learners: [learner], by });
    await revokeCourse(muster.context, { course: courses.safety, learners: [learner], option: 'purge', by });
    expect(await muster.subscriptions(name)).toEqual(['safety: active', 'welcome: active']);
  });
});

describe('R10: changes of structure', () => {
  test('linking subscribes all effective members; unlinking takes the three options', async () => {
    await addMembers(muster.context, { group: groups['sector-a'], learners: [learner], by });
    expect(
      (await linkCourses(muster.context, { group: groups.all, courses: [courses.sales], by })).subscriptions.subscribed,
    ).toBeGreaterThan(0);
    expect(await muster.subscriptions(name)).toEqual(['safety: active', 'sales: active', 'welcome: active']);
    await unlinkCourses(muster.context, { group: groups.all, courses: [courses.sales], option: 'keep', by });
    expect(await muster.subscriptions(name)).toEqual(['safety: active', 'sales: active*', 'welcome: active']);
    await revokeCourse(muster.context, { course: courses.sales, learners: [learner], option: 'purge', by });
    await linkCourses(muster.context, { group: groups.all, courses: [courses.sales], by });
    await recordProgress(muster.context, { learner, course: courses.sales, completion: 10 });
    await unlinkCourses(muster.context, { group: groups.all, courses: [courses.sales], option: 'purge', by });
    expect(await muster.subscriptions(name)).toEqual(['safety: active', 'welcome: active']);
    expect(await completion(courses.sales)).toBeUndefined();
  });

  test('moving a group below another changes what its members get; a circle is refused', async () => {
    await addMembers(muster.context, { group: groups.lone, learners: [learner], by });
    expect(await muster.subscriptions(name)).toEqual([]);
    await moveGroup(muster.context, { group: groups.lone, parent: groups['sector-b'], courses: 'expire', by });
    expect(await muster.subscriptions(name)).toEqual(['safety: active', 'sales: active', 'welcome: active']);
    await expect(
      moveGroup(muster.context, { group: groups.all, parent: groups.lone, courses: 'expire', by }),
    ).rejects.toThrow(/circle/);
    await moveGroup(muster.context, { group: groups.lone, parent: null, courses: 'expire', by });
    expect(await muster.subscriptions(name)).toEqual(['safety: expired', 'sales: expired', 'welcome: expired']);
  });

  test('deleting a group takes its members out with the option', async () => {
    await addMembers(muster.context, { group: groups.lone, learners: [learner], by });
    await linkCourses(muster.context, { group: groups.lone, courses: [courses.sales], by });
    await deleteGroup(muster.context, { group: groups.lone, courses: 'keep', by });
    expect(await muster.memberships(name)).toEqual([]);
    expect(await muster.subscriptions(name)).toEqual(['sales: active*']);
    expect(await verify(muster.context, { repair: false })).toMatchObject({ drift: [] });
  });
});

describe('learners', () => {
  test('R12: an External ID or e-mail address that another holds is refused with its holder', async () => {
    const identity = { email: `P1@x.org`, status: 'active' as const, attributes: {} };
    await expect(addLearner(muster.context, { identity, by })).rejects.toThrow('held by learner p1');
    await expect(editLearner(muster.context, { learner, set: { externalId: 'p1' }, by })).rejects.toThrow(
      'Learner p1 exists',
    );
  });

  test('R28: every change by hand leaves an audit entry with who and why', async () => {
    await addMembers(muster.context, { group: groups['sector-a'], learners: [learner], by });
    const entries = await muster.store.audit.find({ learners: learner }).sort({ at: 1 }).toArray();
    expect(entries.map(({ by: who, why, _id }) => [who, why, _id.step])).toContainEqual([by, 'groups add', 'apply']);
    expect(entries.flatMap(({ events = [] }) => events.flatMap((one) => one.events))).toContainEqual({
      kind: 'subscribed',
      course: courses.safety,
    });
  });
});

describe('R24: killed half way', () => {
  const HALVES = 1_500;
  const ids = Array.from({ length: HALVES }, (_, at) => (1_000_000 + at) as LearnerId);

  beforeAll(async () => {
    const fields = { revision: 1, status: 'active' as const, attributes: {}, memberships: [], holds: [] };
    await muster.store.learners.insertMany(ids.map((_id) => ({ _id, ...fields })));
  });

  /** The process dies as it writes the audit of its second batch. Gives the run that it leaves behind. */
  async function killed(work: (services: JobContext) => Promise<unknown>): Promise<RunId> {
    let entries = 0;
    const audit = new Proxy(muster.store.audit, {
      get: (target, key) => {
        const value = Reflect.get(target, key);
        if (typeof value !== 'function') return value;
        if (key !== 'insertOne' && key !== 'updateOne') return value.bind(target);
        return async (...args: unknown[]) => {
          entries += 1;
          if (entries === 2) throw new Error('killed');
          return value.apply(target, args);
        };
      },
    });
    await expect(work({ ...muster.context, store: { ...muster.store, audit } })).rejects.toThrow('killed');
    const [run] = await latestRuns(muster.store, { limit: 1 });
    return run?._id as RunId;
  }

  /** The next worker takes up what is left. */
  async function takenUp(run: RunId): Promise<void> {
    await advanceRun(muster.context, run);
    muster.clock.forward(60_000);
    expect(await muster.settled(run)).toMatchObject({ state: 'completed' });
  }

  const active = (direct: boolean) =>
    muster.store.subscriptions.countDocuments({
      _id: { $in: ids },
      items: { $elemMatch: { course: courses.safety, status: 'active', direct } },
    });

  test('a grant to many is given to all of them, and taken back from all', async () => {
    const order = { course: courses.safety, learners: ids, by };
    await takenUp(await killed((services) => grantCourse(services, order)));
    expect(await active(true)).toBe(HALVES);
    await takenUp(await killed((services) => revokeCourse(services, { ...order, option: 'purge' })));
    expect(await muster.store.subscriptions.countDocuments({ _id: { $in: ids }, items: [] })).toBe(HALVES);
  });

  test('a repair of many repairs all of them', async () => {
    const sources = [{ source: MANUAL }];
    const memberships = [{ group: groups['sector-a'], sources }];
    await muster.store.learners.updateMany({ _id: { $in: ids } }, { $set: { memberships } });
    await takenUp(await killed((services) => verify(services, { repair: true })));
    expect(await active(false)).toBe(HALVES);
    expect(await verify(muster.context, { repair: false })).toMatchObject({ drift: [] });
  });
});

test('verify finds what somebody changed behind the back, and repair mends it', async () => {
  await addMembers(muster.context, { group: groups['sector-a'], learners: [learner], by });
  await muster.store.subscriptions.updateOne({ _id: learner }, { $set: { items: [] } });
  const { drift } = await verify(muster.context, { repair: false });
  expect(drift.map(({ learner: id, course, found }) => [id, course, found])).toEqual([
    [learner, courses.safety, 'no subscription'],
    [learner, courses.welcome, 'no subscription'],
  ]);
  expect(await verify(muster.context, { repair: true })).toMatchObject({ repaired: 1 });
  expect(await verify(muster.context, { repair: false })).toMatchObject({ drift: [] });
});
