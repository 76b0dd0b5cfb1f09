import type { Change } from '../domain/change.ts';
import type { CourseId, LearnerId } from '../domain/ids.ts';
import type { Learner } from '../domain/learner.ts';
import { readWindowOption } from '../store/feeds.ts';
import { learnersById } from '../store/learners.ts';
import type { Services } from '../store/services.ts';
import { readStructure } from '../store/structure.ts';
import { holdersOf } from '../store/subscriptions.ts';
import { chunks } from './chunks.ts';
import { eventsOf, type ManualResult, type SettleByHand, settleByHand } from './manual.ts';
import { BATCH_SIZE } from './planWriter.ts';
import { type RemovalPreview, RemovalTally } from './removalPreview.ts';
import { simulate } from './simulate.ts';

/** Gives learners a course by hand, as a direct grant. */
export function grantCourse(
  services: Services,
  { course, learners, by }: { course: CourseId; learners: readonly LearnerId[]; by: string },
): Promise<ManualResult> {
  const grants = { grant: [course], revoke: [] };
  return changeGrants(services, { by, why: 'courses grant', learners, settle: 'subscribe', grants });
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
  const grants = { grant: [], revoke: [course] };
  return changeGrants(services, { by, why: `courses revoke --courses ${option}`, learners, settle: option, grants });
}

async function changeGrants(services: Services, order: SettleByHand): Promise<ManualResult> {
  const { store } = services;
  const run = await settleByHand(services, order);
  const setAside = await store.setAside.countDocuments({ run });
  return { run, memberships: { added: 0, removed: 0 }, ...(await eventsOf(store, run)), setAside };
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
