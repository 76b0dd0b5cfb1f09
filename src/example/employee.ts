import type { Company } from './company.ts';
import { draw } from './randomness.ts';

/**
 * One chair of the company on one night. A chair is never moved in the file; who sits on it changes: a leaver is
 * named with status T for some nights, then no longer, and later a joiner with a new External ID takes the chair.
 */
export interface Chair {
  /** 0, 1, … : how many have sat here before. */
  sitter: number;
  /** The night of the sitter's first row; 1 or less for those who were there from the beginning. */
  joined: number;
  /** The night on which the sitter left; null = is here. */
  left: number | null;
  /** How often each of these has changed since the sitter joined. */
  marriages: number;
  mails: number;
  departments: number;
  sites: number;
  functions: number;
  phones: number;
  managers: number;
  contracts: number;
  corrections: number;
}

export function emptyChair(): Chair {
  return {
    sitter: 0,
    joined: 1,
    left: null,
    marriages: 0,
    mails: 0,
    departments: 0,
    sites: 0,
    functions: 0,
    phones: 0,
    managers: 0,
    contracts: 0,
    corrections: 0,
  };
}

/** Events of a night for 100,000 employees; with joiners and vanishing leavers they change 1 % of the rows. */
const EVENTS = { leave: 40, move: 115, promotion: 45, marriage: 20, mail: 20, outside: 685 };
const ALL_EVENTS = Object.values(EVENTS).reduce((sum, count) => sum + count, 0);
const THRESHOLD = Math.floor((ALL_EVENTS / 100_000) * 0x1_0000_0000);
/** Of 1,000 employees, how many have left already on the first night, and are named still. */
const LEFT_BEFORE = 3;

/** Every 64th pair of chairs: long-serving people, to whom nothing happens but what the sheet does to them. */
export const STEADY_PAIR = 64;

export function isSteady(chair: number): boolean {
  return (chair >>> 1) % STEADY_PAIR === 0;
}

/** Who sits on a chair: seed of all that is theirs. */
export function personOf(company: Company, chair: number, sitter: number): number {
  return draw(draw(company.seed, chair), sitter + 1);
}

/**
 * Sets `chair` to the state of chair `index` on `night` (from 1), by all that happened to it since the first
 * night. False where nobody is named: the chair is empty.
 */
export function seat(company: Company, index: number, night: number, chair: Chair): boolean {
  welcome(chair, 0, 1);
  if (isSteady(index)) return true;
  const fate = draw(company.seed ^ 0x5bd1e995, index);
  if (fate % 1000 < LEFT_BEFORE) chair.left = -(fate % 7);
  for (let at = 2; at <= night; at++) {
    if (chair.left !== null) {
      if (at >= refilledAt(fate, chair)) welcome(chair, chair.sitter + 1, at);
      continue;
    }
    const event = draw(fate, at);
    if (event < THRESHOLD) happen(chair, event % ALL_EVENTS, event >>> 3, at);
  }
  return chair.left === null || night < goneAt(fate, chair);
}

function welcome(chair: Chair, sitter: number, night: number): void {
  chair.sitter = sitter;
  chair.joined = night;
  chair.left = null;
  chair.marriages = chair.mails = chair.departments = chair.sites = chair.functions = 0;
  chair.phones = chair.managers = chair.contracts = chair.corrections = 0;
}

/** First night on which a leaver is no longer named: up to 13 nights later, at once for some. */
function goneAt(fate: number, chair: Chair): number {
  const left = chair.left ?? 0;
  return left < 1 ? 2 + ((fate >>> 5) % 8) : left + (((fate >>> 5) + chair.sitter) % 14);
}

/** First night of the joiner who follows; at once after those who had left before the first night. */
function refilledAt(fate: number, chair: Chair): number {
  const vacant = (chair.left ?? 0) < 1 ? 0 : 1 + ((fate >>> 9) % 8);
  return goneAt(fate, chair) + vacant;
}

function happen(chair: Chair, event: number, chance: number, night: number): void {
  let kind = event;
  if ((kind -= EVENTS.leave) < 0) {
    chair.left = night;
  } else if ((kind -= EVENTS.move) < 0) {
    if (chance % 4 !== 0) chair.departments++;
    if (chance % 8 < 3 || chance % 8 === 4) chair.sites++;
  } else if ((kind -= EVENTS.promotion) < 0) {
    chair.functions++;
  } else if ((kind -= EVENTS.marriage) < 0) {
    chair.marriages++;
    chair.mails++;
  } else if ((kind -= EVENTS.mail) < 0) {
    chair.mails++;
  } else if (chance % 10 < 6) {
    chair.phones++;
  } else if (chance % 10 < 8) {
    chair.managers++;
  } else if (chance % 10 < 9) {
    chair.contracts++;
  } else {
    chair.corrections++;
  }
}
