import type { Change, RemovalOption } from '../domain/change.ts';
import type { Claim, Rejection } from '../domain/claim.ts';
import { type Breach, guard } from '../domain/guard.ts';
import { type ExternalId, emailKey, type GroupId, type LearnerId, type SourceName } from '../domain/ids.ts';
import type { Learner } from '../domain/learner.ts';
import { isHeldBy, type LearnerPlan, NOTHING_PLANNED, planLearner } from '../domain/planLearner.ts';
import type { FeedPolicy } from '../domain/policy.ts';
import { fold, type Structure } from '../domain/structure.ts';
import { LEFT } from '../feed/rows/table.ts';
import { ownText } from '../feed/text.ts';
import {
  hasLearners,
  learnerIdsByExternalId,
  learnersByEmail,
  learnersByExternalId,
  learnersById,
} from '../store/learners.ts';
import type { FeedDoc, RunDoc, SetAsideDoc } from '../store/models.ts';
import { lostByAllSince, lostSince } from '../store/runs.ts';
import { ofOlderRuns } from '../store/setAside.ts';
import type { Store } from '../store/store.ts';
import type { Addresses } from './addresses.ts';
import { chunks } from './chunks.ts';
import { type Release, refuseEmails, rejectClaim } from './emails.ts';
import { LearnerSet } from './learnerSet.ts';
import { losingGroups } from './losingGroups.ts';
import { countEvent, NO_SUBSCRIPTIONS, type Outcome, type Problem, type SubscriptionCounts } from './outcome.ts';
import { PlanWriter } from './planWriter.ts';
import { claimsOf, type Reading } from './read.ts';
import { Rejections } from './rejections.ts';
import { simulate } from './simulate.ts';
import { Tally } from './tally.ts';

export interface PlanRunInput {
  readonly store: Store;
  readonly addresses: Addresses;
  readonly run: RunDoc;
  readonly feed: FeedDoc | undefined;
  readonly policy: FeedPolicy;
  readonly structure: Structure;
  readonly reading: Reading;
  /** Learners of the last applied run who may have left: those of lost rows, or all where rows cannot be compared. */
  readonly candidates: Iterable<LearnerId>;
  readonly windowOption: (source: SourceName) => RemovalOption;
  /** Gives out numbers for learners to be created: the first of so many. */
  readonly newLearnerIds: (count: number) => Promise<number>;
  readonly now: Date;
}

export interface RunPlan {
  readonly outcome: Omit<Outcome, 'applied'>;
  readonly batches: number;
  readonly rejections: readonly Rejection[];
  /** Learners whose rows the next run must read again, whatever their bytes (rejected, shielded, in grace). */
  readonly lookAgain: LearnerSet;
}

const CHUNK = 1000;

/**
 * Compares claims with what is stored and writes the plan: batches of changes, complete before anything is
 * applied. Then counts it against the guard.
 */
export async function planRun(input: PlanRunInput): Promise<RunPlan> {
  return new Planning(input).run();
}

class Planning {
  readonly #in: PlanRunInput;
  readonly #writer: PlanWriter;
  readonly #tally: Tally;
  readonly #rejections: Rejections;
  readonly #protectedIds = new Set<ExternalId>();
  readonly #protectedEmails = new Set<string>();
  readonly #protectedGroups = new Set<GroupId>();
  readonly #shielded = new LearnerSet();
  readonly #lookAgain = new LearnerSet();
  /** Stored learners whom the feed names. */
  readonly #named = new LearnerSet();
  /** Those of them of whom it is said that they have left: the feed holds them no more. */
  readonly #left = new LearnerSet();
  #namedChanged = 0;
  /** Learners whom the feed holds still, though no row names them: a rejected one may be theirs (R15). */
  #unnamed = 0;
  readonly #supersedes: string[] = [];
  readonly #subscriptions: SubscriptionCounts = { ...NO_SUBSCRIPTIONS };
  readonly #created = new Map<string, string>();
  readonly #swapped: { left: string; came: string }[] = [];
  #watchForSwaps = false;

  constructor(input: PlanRunInput) {
    this.#in = input;
    this.#writer = new PlanWriter(input.store, input.run._id, input.run.attempt);
    this.#tally = new Tally(input.policy.feed);
    this.#rejections = new Rejections(input.run.source.name, input.reading.rejections);
  }

  async run(): Promise<RunPlan> {
    const { reading, addresses, policy, structure } = this.#in;
    for (const rejection of this.#rejections.list) this.#protect(rejection);
    if (policy.unknownLearner === 'reject') await this.#refuseUnknown();
    const { rejections, releases } = await refuseEmails(
      addresses,
      reading.claims,
      policy.match,
      structure,
      (live, claim) => {
        const email = this.#plan(live, claim, undefined).change?.fields.find(({ field }) => field === 'email');
        return email && (email.after ?? '');
      },
    );
    this.#rejections.add(rejections);
    for (const rejection of rejections) this.#protect(rejection);
    for (let at = 0; at < reading.rowMap.length; at += 1) {
      const learner = reading.rowMap.learner(at);
      if (learner === 0) continue;
      this.#named.add(learner);
      if ((reading.rowMap.flags(at) & LEFT) !== 0) this.#left.add(learner);
    }
    this.#watchForSwaps = this.#in.feed?.applied !== undefined;
    await this.#planClaims();
    if (policy.mode === 'full') await this.#planLeavers();
    await this.#writer.end();
    return { ...(await this.#conclude(releases)), batches: this.#writer.batches, lookAgain: this.#lookAgain };
  }

  #protect({ externalId, email, groups }: Rejection): void {
    if (externalId) this.#protectedIds.add(externalId);
    if (email) this.#protectedEmails.add(emailKey(email));
    for (const named of groups) {
      const group = this.#in.structure.byExternalId(named);
      if (group) this.#protectedGroups.add(group.id);
    }
  }

  /** All of them before anything is planned: what their rows protect may be somebody of an earlier row (R15), or an address. */
  async #refuseUnknown(): Promise<void> {
    const { reading } = this.#in;
    const refuse = async (claims: readonly Claim[]) => {
      const live = await this.#find(claims);
      const unknown = claims.filter(({ externalId }) => !live.has(externalId));
      if (unknown.length > 0) await this.#rejectUnknown(unknown);
      for (const { externalId } of unknown) reading.claims.delete(externalId);
    };
    for (const claims of chunks([...reading.claims.values()], CHUNK)) await refuse(claims);
    for await (const claims of reading.alone()) await refuse(claims);
  }

  async #planClaims(): Promise<void> {
    const { store, run, reading, policy } = this.#in;
    const stored = await hasLearners(store);
    const setAside = policy.mode === 'delta' ? await store.setAside.find(ofOlderRuns(run)).toArray() : [];
    for await (const claims of claimsOf(reading)) {
      const live = stored ? await this.#find(claims) : new Map<ExternalId, Learner>();
      if (setAside.length > 0) this.#supersede(setAside, claims, live);
      const isNew = ({ externalId, status }: Claim) =>
        policy.unknownLearner === 'create' && status === 'active' && !live.has(externalId);
      const made = claims.filter(isNew);
      let next = made.length > 0 ? await this.#in.newLearnerIds(made.length) : 0;
      const planned: { change: Change; live: Learner | undefined }[] = [];
      for (const claim of claims) {
        const learner = live.get(claim.externalId);
        const newId = isNew(claim) ? (next++ as LearnerId) : undefined;
        const id = learner?.id ?? newId;
        if (id === undefined) continue;
        const plan = learner && this.#isNoNews(learner, claim) ? NOTHING_PLANNED : this.#planOne(learner, claim, newId);
        if (plan.shielded && policy.mode === 'delta') {
          this.#rejectShielded(claim);
          continue;
        }
        for (const row of claim.rows) reading.rowMap.assign(row - reading.firstRow, learner || plan.change ? id : 0);
        if (learner) this.#named.add(id);
        if (learner && claim.status === 'left' && !plan.shielded) this.#nameLeft(learner.id, claim);
        if (plan.change) planned.push({ change: plan.change, live: learner });
      }
      await this.#write(planned);
    }
  }

  /** What a delta feed says of a learner takes the place of what could not be applied to that learner before. */
  #supersede(setAside: readonly SetAsideDoc[], claims: readonly Claim[], live: ReadonlyMap<ExternalId, Learner>): void {
    const names = new Set(claims.map(({ externalId }) => externalId));
    const ids = new Set([...live.values()].map(({ id }) => id));
    for (const { _id, learner, change } of setAside) {
      const newcomer = change?.create?.externalId;
      if (ids.has(learner) || (newcomer !== undefined && names.has(newcomer))) this.#supersedes.push(_id);
    }
  }

  #nameLeft(learner: LearnerId, { rows }: Claim): void {
    const { rowMap, firstRow } = this.#in.reading;
    this.#left.add(learner);
    for (const row of rows) rowMap.setFlags(row - firstRow, rowMap.flags(row - firstRow) | LEFT);
  }

  #isProtected(live: Learner | undefined): boolean {
    return (
      (live?.externalId !== undefined && this.#protectedIds.has(live.externalId)) ||
      (live?.email !== undefined && this.#protectedEmails.has(emailKey(live.email)))
    );
  }

  #plan(live: Learner | undefined, claim: Claim | null, newId: LearnerId | undefined): LearnerPlan {
    const { policy, now } = this.#in;
    const protectedGroups = this.#protectedGroups;
    return planLearner({ policy, live, claim, newId, now, protectedLearner: this.#isProtected(live), protectedGroups });
  }

  #planOne(live: Learner | undefined, claim: Claim | null, newId: LearnerId | undefined): LearnerPlan {
    const plan = this.#plan(live, claim, newId);
    if (live && (plan.shielded || plan.graceRuns)) this.#lookAgain.add(live.id);
    if (live && this.#isProtected(live)) {
      this.#shielded.add(live.id);
      this.#lookAgain.add(live.id);
    }
    return plan;
  }

  async #find(claims: readonly Claim[]): Promise<Map<ExternalId, Learner>> {
    const { store, policy } = this.#in;
    const found = await learnersByExternalId(
      store,
      claims.map(({ externalId }) => externalId),
    );
    if (!policy.match.includes('email')) return found;
    const missing = claims.filter(({ externalId, email }) => email && !found.has(externalId));
    if (missing.length === 0) return found;
    const byEmail = await learnersByEmail(
      store,
      missing.map(({ email }) => email as string),
    );
    for (const { externalId, email } of missing) {
      const learner = byEmail.get(emailKey(email as string));
      if (learner && learner.externalId === undefined) found.set(externalId, learner);
    }
    return found;
  }

  async #rejectUnknown(claims: readonly Claim[]): Promise<void> {
    const near = await nearLearners(this.#in.store, claims);
    for (const claim of claims) {
      const match = near.get(fold(claim.externalId));
      const hint = match
        ? ` Learner ${match} differs by letter case or zeros alone; is it meant?`
        : ' Add the learner, or set `unknownLearner: create`.';
      const message = `No learner has the External ID ${claim.externalId}; the row was not used and takes nothing away.${hint}`;
      const rejected = rejectClaim(claim, 'unknown-learner', message, this.#in.structure);
      this.#rejections.add(rejected);
      for (const rejection of rejected) this.#protect(match ? { ...rejection, externalId: match } : rejection);
    }
  }

  /**
   * With shared authority, what somebody has changed by hand stays until the feed has news of the learner (R21). Where
   * rows cannot be compared, nobody can tell: that the feed names the learner still is none.
   */
  #isNoNews(live: Learner, { status }: Claim): boolean {
    const { policy, reading } = this.#in;
    if (policy.authority !== 'shared' || policy.mode !== 'full' || reading.compared || status === 'left') return false;
    const isHeld = live.holds.some(({ feed, leftAt }) => feed === policy.feed && !leftAt);
    return isHeld && (live.lookAgain ?? []).some(({ feed }) => feed === policy.feed);
  }

  /** A delta feed says a thing once: what is not done now would be forgotten, so its rows are given back. */
  #rejectShielded(claim: Claim): void {
    const message =
      `Learner ${claim.externalId} was to lose something while a rejected row of the same file names the learner or the group; ` +
      'the row was not used and takes nothing away. Mend the rejected row, and send this one again with it.';
    this.#rejections.add(rejectClaim(claim, 'protected', message, this.#in.structure));
  }

  async #planLeavers(): Promise<void> {
    const { store, candidates } = this.#in;
    const all = new LearnerSet(candidates);
    // Whoever is named by rejected rows alone keeps everything tonight, and is looked at again in the next run.
    for (const id of (await learnerIdsByExternalId(store, [...this.#protectedIds])).values()) all.add(id);
    const absent: LearnerId[] = [];
    for (const id of all) if (!this.#named.has(id)) absent.push(id);
    for (const ids of chunks(absent, CHUNK)) {
      const live = await learnersById(store, ids);
      const planned: { change: Change; live: Learner }[] = [];
      for (const learner of live.values()) {
        if (!isHeldBy(learner, this.#in.policy.feed)) continue;
        const plan = this.#planOne(learner, null, undefined);
        if (plan.change) planned.push({ change: plan.change, live: learner });
        else if (learner.holds.some(({ feed, leftAt }) => feed === this.#in.policy.feed && !leftAt)) this.#unnamed += 1;
      }
      await this.#write(planned);
    }
  }

  /** Writes changes into the plan, counts them, and foresees what they do to subscriptions where that must be known. */
  async #write(planned: readonly { change: Change; live: Learner | undefined }[]): Promise<void> {
    const { store, structure, now, windowOption, run } = this.#in;
    for (const { change, live } of planned) {
      this.#tally.add(change, live);
      if (change.fields.length > 0 && this.#named.has(change.learner)) this.#namedChanged += 1;
      this.#watchForSwap(change, live);
      await this.#writer.add(change);
    }
    this.#writer.endChunk();
    const foreseen = planned.filter(
      ({ change }) => run.preview || change.memberships.some(({ courses }) => courses === 'purge'),
    );
    if (foreseen.length === 0) return;
    for (const { events } of await simulate(store, foreseen, structure, now, windowOption)) {
      if (events.some(({ kind }) => kind === 'purged')) this.#tally.purged += 1;
      for (const { kind } of events) countEvent(this.#subscriptions, kind);
    }
  }

  /** A leaver and a joiner of one name look like a changed External ID (R12). Joiners are planned before leavers. */
  #watchForSwap({ create }: Change, live: Learner | undefined): void {
    if (!this.#watchForSwaps) return;
    if (create) {
      const name = nameKey(create.firstName, create.lastName);
      if (name) this.#created.set(name, ownText(create.externalId as string));
      return;
    }
    const name = nameKey(live?.firstName, live?.lastName);
    const came =
      name &&
      live?.holds.some(({ feed, leftAt }) => feed === this.#in.policy.feed && !leftAt) &&
      this.#created.get(name);
    if (came && !this.#named.has((live as Learner).id)) {
      this.#swapped.push({ left: live?.externalId ?? `id:${live?.id}`, came });
    }
  }

  /** Rejected rows that name no External ID, and no address that anybody has (R15). */
  async #unrecognised(): Promise<number> {
    const unnamed = this.#rejections.list.filter(({ externalId }) => !externalId);
    let known = 0;
    for (const some of chunks(unnamed, CHUNK)) {
      const keys = some.flatMap(({ email }) => (email ? [emailKey(email)] : []));
      const holders = keys.length > 0 ? await learnersByEmail(this.#in.store, keys) : new Map<string, Learner>();
      known += keys.filter((key) => holders.has(key)).length;
    }
    return unnamed.length - known;
  }

  async #conclude(releases: readonly Release[]): Promise<Pick<RunPlan, 'outcome' | 'rejections'>> {
    const { store, reading, feed, policy, now, run } = this.#in;
    const tally = this.#tally;
    const held = feed?.held ?? { learners: 0, memberships: 0 };
    const rejectedRows = new Set(this.#rejections.list.map(({ row }) => row)).size;
    const removals = tally.taken > 0 || tally.deactivated > 0;
    const groups = await losingGroups(store, this.#in.structure, tally, policy.limits);
    const allFeeds = await lostByAllSince(store, new Date(now.getTime() - DAY));
    const breaches: Breach[] = guard(
      {
        held,
        membershipsRemoved: tally.taken,
        membershipsLost: tally.lost,
        membershipsAdded: tally.added,
        emptiedGroups: groups.filter(({ left }) => left === 0).map(({ group, members }) => ({ group, members })),
        groups,
        deactivated: tally.deactivated,
        created: tally.created,
        identityChanged: tally.identityChanged,
        purged: tally.purged,
        rows: {
          read: reading.rows.read,
          rejected: rejectedRows,
          unrecognised: await this.#unrecognised(),
        },
        lastRows: feed?.applied?.rows ?? null,
        delta: policy.mode === 'delta',
        removals,
        lost24h: feed ? await lostSince(store, feed._id, new Date(now.getTime() - DAY)) : 0,
        lost7d: feed ? await lostSince(store, feed._id, new Date(now.getTime() - 7 * DAY)) : 0,
        ...(allFeeds && { allFeeds }),
      },
      policy.limits,
    );
    const learners = {
      created: tally.created,
      updated: tally.updated,
      reactivated: tally.reactivated,
      deactivated: tally.deactivated,
      unchanged: this.#named.size - this.#namedChanged,
    };
    const named = this.#named.size + tally.created;
    const nothing = this.#writer.batches === 0 && reading.newGroups.size === 0;
    const heldLearners = policy.mode === 'full' ? named - this.#left.size + this.#unnamed : held.learners + tally.held;
    return {
      rejections: this.#rejections.list,
      outcome: {
        noChange: nothing,
        rows: {
          read: reading.rows.read,
          accepted: reading.rows.read - rejectedRows - reading.erased,
          rejected: rejectedRows,
          repeated: reading.rows.repeated,
        },
        learners,
        groups: { created: reading.newGroups.size },
        memberships: {
          added: tally.added,
          removed: tally.removed,
          changed: tally.windows,
          unchanged: Math.max(0, held.memberships - tally.removed - tally.windows),
        },
        ...(run.preview && { subscriptions: this.#subscriptions }),
        guard: { held: breaches.length > 0, breaches },
        protected: { learners: this.#shielded.size, groups: this.#protectedGroups.size },
        problems: problemsOf(this.#rejections.list, this.#swapped, reading.erased),
        lost: tally.lost,
        held: { learners: heldLearners, memberships: tally.added - tally.removed },
        named,
        ...(this.#supersedes.length > 0 && { supersedes: this.#supersedes }),
        newGroups: [...reading.newGroups].map(([id, group]) => ({ id, ...group })),
        releases,
        feedRevision: feed?.revision ?? 0,
        readAt: now,
      },
    };
  }
}

const DAY = 86_400_000;

function nameKey(first: string | undefined, last: string | undefined): string | undefined {
  return first && last ? `${first} ${last}`.toLowerCase() : undefined;
}

/** Stored External IDs that differ from the claimed by letter case or zero-padding alone, by fold (R12). */
async function nearLearners(store: Store, claims: readonly Claim[]): Promise<Map<string, ExternalId>> {
  const candidates = new Set<ExternalId>();
  for (const { externalId } of claims.slice(0, CHUNK)) for (const id of spellings(externalId)) candidates.add(id);
  const found = await learnersByExternalId(store, [...candidates]);
  return new Map([...found.keys()].map((id) => [fold(id), id]));
}

/** The ways in which an External ID is likely to have been written: other letter case, zeros added or taken away. */
function* spellings(id: ExternalId): Generator<ExternalId> {
  const bare = id.replace(/^0+(?=.)/, '');
  for (const text of new Set([id, id.toLowerCase(), id.toUpperCase(), bare])) {
    for (let zeros = 0; zeros <= 12; zeros += 1) yield `${'0'.repeat(zeros)}${text}` as ExternalId;
  }
}

function problemsOf(
  rejections: readonly Rejection[],
  swapped: readonly { left: string; came: string }[],
  erased: number,
): Problem[] {
  const problems = new Map<string, Problem>();
  for (const { row, code, message } of [...rejections].sort((a, b) => a.row - b.row)) {
    const before = problems.get(code);
    problems.set(code, before ? { ...before, count: before.count + 1 } : { row, code, message, count: 1 });
  }
  const first = swapped[0];
  if (first) {
    problems.set('probable-id-change', {
      row: null,
      code: 'probable-id-change',
      message: `Learner ${first.left} leaves and learner ${first.came} of the same name joins in this run. If they are one person, the External ID has changed: mend it in the feed, or give the stored learner the new one.`,
      count: swapped.length,
    });
  }
  if (erased > 0) {
    const message =
      'These rows are of people who were erased, so they were left out; nobody is rejected or removed for it. ' +
      'Have the feed leave them out, or, where such a person is back: muster learners unerase.';
    problems.set('erased', { row: null, code: 'erased', message, count: erased });
  }
  return [...problems.values()];
}
