import { entitledCourses } from '../domain/entitlement.ts';
import type { CourseId, LearnerId } from '../domain/ids.ts';
import type { Learner } from '../domain/learner.ts';
import type { Subscriptions } from '../domain/settle.ts';
import type { Structure } from '../domain/structure.ts';
import { type ChainState, verifyAudit } from '../store/auditChain.ts';
import { learnersById, toLearner } from '../store/learners.ts';
import { ofRun } from '../store/outbox.ts';
import type { Services } from '../store/services.ts';
import { readStructure } from '../store/structure.ts';
import { readSubscriptions } from '../store/subscriptions.ts';
import { settleByHand } from './manual.ts';

export interface Drift {
  readonly learner: LearnerId;
  readonly course: CourseId | null;
  readonly found: string;
  readonly expected: string;
}

export interface Verification {
  readonly learners: number;
  readonly drift: readonly Drift[];
  readonly repaired: number;
  /** The chain of audit entries, and where it is broken (R28). */
  readonly audit: ChainState;
}

const CHUNK = 1000;

/**
 * Compares what is stored with what the rules derive from it: every learner's subscriptions with the entitlement of
 * memberships, links, windows and direct grants, and memberships with the groups that exist. `repair` settles those
 * that differ. Windows that are due but not settled yet count as drift, since R5 gives them a minute.
 */
export async function verify(
  services: Services,
  { repair, progress }: { repair: boolean; progress?: (learners: number) => void },
): Promise<Verification> {
  const { store, clock } = services;
  const drift: Drift[] = [];
  const wrong: LearnerId[] = [];
  let count = 0;
  const structure = await readStructure(store);
  let chunk: Learner[] = [];
  const check = async () => {
    const held = await readSubscriptions(
      store,
      chunk.map(({ id }) => id),
    );
    const differing = chunk.filter((one) => driftOf(one, held.get(one.id), structure, clock.now()).length > 0);
    const found = await confirmed(
      services,
      differing.map(({ id }) => id),
    );
    wrong.push(...found.keys());
    for (const list of found.values()) drift.push(...list);
    count += chunk.length;
    progress?.(count);
    chunk = [];
  };
  for await (const doc of store.learners.find().sort({ _id: 1 })) {
    chunk.push(toLearner(doc));
    if (chunk.length === CHUNK) await check();
  }
  await check();
  const audit = await verifyAudit(store);
  return { learners: count, drift, repaired: repair ? await repairAll(services, wrong) : 0, audit };
}

/** The differences as of one moment: what was changed or erased between two reads is none. */
async function confirmed(
  { store, clock }: Services,
  learners: readonly LearnerId[],
): Promise<Map<LearnerId, readonly Drift[]>> {
  if (learners.length === 0) return new Map();
  return store.transaction(async (session) => {
    const structure = await readStructure(store, session);
    const live = await learnersById(store, learners, session);
    const held = await readSubscriptions(store, learners, session);
    const found = [...live].map(([id, one]) => [id, driftOf(one, held.get(id), structure, clock.now())] as const);
    return new Map(found.filter(([, list]) => list.length > 0));
  });
}

function driftOf(learner: Learner, held: Subscriptions | undefined, structure: Structure, now: Date): Drift[] {
  const drift: Drift[] = [];
  const say = (course: CourseId | null, found: string, expected: string) =>
    drift.push({ learner: learner.id, course, found, expected });
  const entitled = entitledCourses(learner.memberships, structure, now);
  for (const { course, status, direct } of held?.items ?? []) {
    const should = entitled.delete(course) || direct ? 'active' : 'expired';
    if (status !== should) say(course, status, should);
  }
  for (const course of entitled) say(course, 'no subscription', 'active');
  for (const { group, sources } of learner.memberships) {
    if (!structure.group(group)) say(null, `membership in group id:${group}, which does not exist`, 'no membership');
    if (sources.length === 0) say(null, `membership in group id:${group} without a source`, 'no membership');
  }
  return drift;
}

async function repairAll(services: Services, learners: readonly LearnerId[]): Promise<number> {
  if (learners.length === 0) return 0;
  const { store } = services;
  const run = await settleByHand(services, { by: 'verify', why: 'verify --repair', learners, settle: 'expire' });
  const entries = await store.audit.find(ofRun(run), { projection: { learners: 1 } }).toArray();
  return entries.reduce((sum, entry) => sum + entry.learners.length, 0);
}
