import type { Claim, Rejection } from '../domain/claim.ts';
import { refusedEmails, type Wanted } from '../domain/emails.ts';
import { type ExternalId, emailKey, type LearnerId } from '../domain/ids.ts';
import type { Learner } from '../domain/learner.ts';
import type { Structure } from '../domain/structure.ts';
import { hasLearners, learnersByEmail } from '../store/learners.ts';
import type { Addresses } from './addresses.ts';
import { chunks } from './chunks.ts';

/** An address that changes hands in this run: it is taken from its holder before anybody receives it. */
export interface Release {
  readonly learner: LearnerId;
  readonly emailKey: string;
}

/**
 * Takes those claims out that ask for an e-mail address which they cannot have (R12): one that another learner
 * holds and does not give up in this run, or one that two learners of the feed ask for. `match` by e-mail adopts
 * a holder without External ID rather than refusing.
 *
 * @param addressAfter what the plan makes of the learner's address: another one, '' for none, undefined = it stays.
 */
export async function refuseEmails(
  addresses: Addresses,
  claims: Map<ExternalId, Claim>,
  match: readonly string[],
  structure: Structure,
  addressAfter: (live: Learner, claim: Claim) => string | undefined,
): Promise<{ rejections: Rejection[]; releases: Release[] }> {
  const rejections: Rejection[] = [];
  const releases: Release[] = [];
  const leavers = [...claims.values()].filter(({ status, email }) => status === 'left' && email);
  const known = await addresses.of(leavers.map(({ externalId }) => externalId));
  // Of a leaver who is no learner nothing is stored, so nothing is asked for either.
  const asks = ({ status, externalId }: Claim) => status !== 'left' || known.has(externalId) || match.includes('email');
  const claimants = claimantsOf([...claims.values()].filter(asks));
  if (claimants.size === 0) return { rejections, releases };
  const stored = await hasLearners(addresses.store);
  const wanted = new Map<ExternalId, Wanted<LearnerId>>();
  const holders = new Map<LearnerId, Learner>();
  const keeps = new Set<ExternalId>();

  if (stored) {
    const asking = [...claimants].flatMap(([key, ids]) => ids.map((externalId) => ({ externalId, key })));
    for (const some of chunks(asking, 1000)) {
      for (const { claimant, key, holder } of await holdersOf(addresses, some, match)) {
        if (holder === 'own') keeps.add(claimant);
        else {
          holders.set(holder.id, holder);
          wanted.set(claimant, { wants: key, holder: holder.id });
        }
      }
    }
  }
  const refused = new Map<ExternalId, Rejection[]>();
  for (const [key, asking] of claimants) {
    if (asking.length < 2) continue;
    for (const claimant of asking)
      if (!keeps.has(claimant)) refused.set(claimant, twice(claims.get(claimant) as Claim, key, asking, structure));
  }
  const gives = (id: LearnerId) => {
    const holder = holders.get(id);
    const claimant = holder?.externalId;
    const claim = claimant === undefined || refused.has(claimant) ? undefined : claims.get(claimant);
    const after = holder && claim && addressAfter(holder, claim);
    return claimant && after !== undefined ? { claimant, says: emailKey(after) } : undefined;
  };
  for (const claimant of refused.keys()) wanted.delete(claimant);
  for (const claimant of refusedEmails(wanted, gives)) {
    const holder = holders.get((wanted.get(claimant) as Wanted<LearnerId>).holder) as Learner;
    refused.set(claimant, held(claims.get(claimant) as Claim, holder, structure));
  }
  for (const [claimant, { wants, holder }] of wanted) {
    if (!refused.has(claimant)) releases.push({ learner: holder, emailKey: wants });
  }
  for (const [claimant, list] of refused) {
    rejections.push(...list);
    claims.delete(claimant);
  }
  return { rejections, releases };
}

/**
 * Those of these claimants whose address another learner holds, and these holders, as far as they have an External
 * ID: what becomes of one may depend on what the feed says of the other (R12).
 */
export async function contestedEmails(
  addresses: Addresses,
  claims: readonly { externalId: ExternalId; email?: string }[],
  match: readonly string[],
): Promise<ExternalId[]> {
  const found: ExternalId[] = [];
  const asking = claims.flatMap(({ externalId, email }) => (email ? [{ externalId, key: emailKey(email) }] : []));
  for (const some of chunks(asking, 1000)) {
    for (const { claimant, holder } of await holdersOf(addresses, some, match)) {
      if (holder === 'own') continue;
      found.push(claimant);
      if (holder.externalId !== undefined) found.push(holder.externalId);
    }
  }
  return found;
}

interface Held {
  readonly claimant: ExternalId;
  readonly key: string;
  readonly holder: Learner | 'own';
}

/** Claimants whose address is held: by themselves (`own`), as nearly all do, or by another who is not about to be found by it. */
async function holdersOf(
  addresses: Addresses,
  asking: readonly { externalId: ExternalId; key: string }[],
  match: readonly string[],
): Promise<Held[]> {
  const own = await addresses.of(asking.map(({ externalId }) => externalId));
  const held: Held[] = [];
  const others: (typeof asking)[number][] = [];
  for (const one of asking) {
    if (own.get(one.externalId)?.emailKey === one.key)
      held.push({ claimant: one.externalId, key: one.key, holder: 'own' });
    else others.push(one);
  }
  if (others.length === 0) return held;
  const byEmail = await learnersByEmail(addresses.store, [...new Set(others.map(({ key }) => key))]);
  for (const { externalId: claimant, key } of others) {
    const live = own.get(claimant);
    const holder = byEmail.get(key);
    if (!holder || holder.id === live?.id) continue;
    const adopted = holder.externalId === undefined && !live && match.includes('email');
    if (!adopted) held.push({ claimant, key, holder });
  }
  return held;
}

function claimantsOf(claims: readonly Claim[]): Map<string, ExternalId[]> {
  const claimants = new Map<string, ExternalId[]>();
  for (const { externalId, email } of claims) {
    if (!email) continue;
    const key = emailKey(email);
    const list = claimants.get(key);
    if (list) list.push(externalId);
    else claimants.set(key, [externalId]);
  }
  return claimants;
}

function twice(claim: Claim, key: string, asking: readonly ExternalId[], structure: Structure): Rejection[] {
  const others = asking.filter((id) => id !== claim.externalId).slice(0, 3);
  return rejectClaim(
    claim,
    'email-twice',
    `Learner ${claim.externalId} has the e-mail address ${key} that the feed also gives to learner ${others.join(', ')}; none of them received it. Give each an address of their own.`,
    structure,
  );
}

function held(claim: Claim, holder: Learner, structure: Structure): Rejection[] {
  const name = holder.externalId === undefined ? `id:${holder.id}` : holder.externalId;
  return rejectClaim(
    claim,
    'email-held',
    `The e-mail address ${claim.email} of learner ${claim.externalId} is held by learner ${name}; the row was not used. ` +
      'If both are one person, the External ID has changed: mend it in the feed or in Muster. Otherwise give each an address of their own.',
    structure,
  );
}

/** Every row of the claim, rejected for one reason. */
export function rejectClaim(claim: Claim, code: string, message: string, structure: Structure): Rejection[] {
  const groups = claim.groups.flatMap(({ group }) => structure.group(group)?.externalId ?? []);
  return claim.rows.map((row) => ({
    row,
    code,
    message,
    externalId: claim.externalId,
    ...(claim.email && { email: claim.email }),
    groups,
  }));
}
