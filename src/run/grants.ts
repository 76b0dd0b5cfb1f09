import type { Change, RemovalOption } from '../domain/change.ts';
import type { CourseId, LearnerId } from '../domain/ids.ts';
import type { Learner } from '../domain/learner.ts';
import { auditOf, type SettleOrder, settleLearners } from '../reconcile/settleBatch.ts';
import { newRunId } from '../store/counters.ts';
import { readWindowOption } from '../store/feeds.ts';
import { learnersById } from '../store/learners.ts';
import type { Services } from '../store/services.ts';
import type { Session, Store } from '../store/store.ts';
import { readStructure } from '../store/structure.ts';
import { readSubscriptions } from '../store/subscriptions.ts';
import { advanceRun } from './advance.ts';
import { chunks } from './chunks.ts';
import { blankRun, eventsOf, type ManualResult } from './manual.ts';
import { BATCH_SIZE } from './planWriter.ts';
import { type RemovalPreview, RemovalTally } from './removalPreview.ts';
import { simulate } from './simulate.ts';

/** Gives learners a course by hand, as a direct grant. */
export function grantCourse(
  services: Services,
  { course, learners, by }: { course: CourseId; learners: readonly LearnerId[]; by: string },
): Promise<ManualResult> {
  const grant = new Set([course]);
  return settleByHand(services, by, 'courses grant', learners, 'subscribe', { endings: [], grant });
}

/** Ends direct grants; a course that a group gives as well stays. */
export function revokeCourse(
  services: Services,
  {
    course,
    learners,
    option,
    by,
  }: { course: CourseId; learners: readonly LearnerId[]; option: 'expire' | 'purge'; by: string },
): Promise<ManualResult> {
  const revoke = new Set([course]);
  const endings = [{ courses: [course], option: option as RemovalOption }];
  return settleByHand(services, by, `courses revoke --courses ${option}`, learners, option, { endings, revoke });
}

/** What ending direct grants would do, without doing it (R11). */
export async function previewRevoke(
  { store, clock }: Pick<Services, 'store' | 'clock'>,
  { course, learners, option }: { course: CourseId; learners: readonly LearnerId[]; option: 'expire' | 'purge' },
): Promise<RemovalPreview> {
  const revoke = new Set([course]);
  const tally = new RemovalTally(store);
  const structure = await readStructure(store);
  const windowOption = await readWindowOption(store);
  for (const some of chunks([...new Set(learners)], BATCH_SIZE)) {
    const live = await learnersById(store, await holdersOf(store, revoke, some));
    const planned = [...live.values()].map((learner) => ({ live: learner, change: noChangeOf(learner) }));
    const as = (kind: 'expire' | 'purge') =>
      simulate(store, planned, structure, clock.now(), windowOption, kind, {
        revoke,
        endings: [{ courses: [course], option: kind }],
      });
    const simulated = await as(option);
    await tally.add(simulated, option === 'purge' ? simulated : await as('purge'));
  }
  return tally.preview;
}

function noChangeOf({ id, revision }: Learner): Change {
  return { learner: id, revision, fields: [], memberships: [] };
}

async function settleByHand(
  services: Services,
  by: string,
  why: string,
  learners: readonly LearnerId[],
  kind: 'subscribe' | 'expire' | 'purge',
  order: Omit<SettleOrder, 'learner'>,
): Promise<ManualResult> {
  const { store, clock } = services;
  const run = blankRun(await newRunId(store), 'manual', by, why, clock.now());
  await store.runs.insertOne(run);
  let batch = 0;
  for (const some of chunks([...new Set(learners)], BATCH_SIZE)) {
    batch += 1;
    await store.transaction(async (session) => {
      const now = clock.now();
      const structure = await readStructure(store, session);
      // From those who hold no grant there is nothing to take back.
      const concerned = order.revoke ? await holdersOf(store, order.revoke, some, session) : some;
      const orders = concerned.map((learner) => ({ learner, ...order }));
      const settlements = await settleLearners(services, session, { orders, structure, kind, now, run: run._id });
      const audit = auditOf({ run: run._id, batch }, 'grant', by, why, now, settlements);
      if (audit) await store.audit.insertOne(audit, { session });
    });
  }
  await advanceRun(services, run._id);
  return { run: run._id, memberships: { added: 0, removed: 0 }, ...(await eventsOf(store, run._id)), setAside: 0 };
}

/** Those of the learners who hold a direct grant of one of the courses. */
export async function holdersOf(
  store: Store,
  courses: ReadonlySet<CourseId>,
  learners: readonly LearnerId[],
  session?: Session,
): Promise<LearnerId[]> {
  const held = await readSubscriptions(store, learners, session);
  return learners.filter((id) => held.get(id)?.items.some(({ course, direct }) => direct && courses.has(course)));
}
