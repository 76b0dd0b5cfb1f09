import { type ExternalId, emailKey } from '../domain/ids.ts';

/** What a row says of who its learner is, as far as it tells whether other rows must be looked at with it. */
export interface Named {
  readonly externalId: ExternalId;
  readonly email?: string;
}

/**
 * The new rows of a night that are too many to be held: 8 bytes are kept of each, the hashes of External ID and e-mail
 * address, by the row's place in the file. They tell which rows must be gathered, since their learner has several or
 * shares an address; every other row is its learner's only one and can be read again on its own. Two hashes that
 * collide gather a row too many, and change nothing else.
 */
export class Crowd {
  /** By place of the row: hash of the External ID; 0 = not one of these rows. */
  #who: Uint32Array;
  /** Hash of the e-mail address; 0 = none. */
  #mail: Uint32Array;
  #length = 0;
  readonly #together = new Set<number>();
  readonly #seed = (Math.random() * 2 ** 32) >>> 0;

  /** `rows`: room for so many; more are possible. */
  constructor(rows: number) {
    this.#who = new Uint32Array(rows);
    this.#mail = new Uint32Array(rows);
  }

  add(place: number, { externalId, email }: Named): void {
    if (place >= this.#who.length) this.#grow(place + 1);
    this.#length = Math.max(this.#length, place + 1);
    this.#who[place] = hash(externalId, this.#seed);
    if (email) this.#mail[place] = hash(emailKey(email), this.#seed);
  }

  /** The rows of this learner are to be gathered, whatever else is known of them. */
  gather(externalId: ExternalId): void {
    this.#together.add(hash(externalId, this.#seed));
  }

  /** 1 for each of the rows that must be gathered; undefined where none must. The last that is asked of addresses. */
  gathered(): Uint8Array | undefined {
    const who = this.#who.subarray(0, this.#length);
    const mail = this.#mail.subarray(0, this.#length);
    const together = this.#together;
    for (const twice of repeated(who)) together.add(twice);
    const shared = repeated(mail);
    for (let place = 0; place < this.#length; place += 1) {
      if (shared.has(mail[place] as number)) together.add(who[place] as number);
    }
    this.#mail = new Uint32Array(0);
    if (together.size === 0) return undefined;
    const marks = new Uint8Array(this.#length);
    for (let place = 0; place < this.#length; place += 1) if (together.has(who[place] as number)) marks[place] = 1;
    return marks;
  }

  /** Is the row at this place one of these? */
  has(place: number): boolean {
    return (this.#who[place] ?? 0) !== 0;
  }

  #grow(least: number): void {
    const size = Math.max(least, Math.ceil(this.#who.length * 1.5));
    const grown = (old: Uint32Array) => {
      const next = new Uint32Array(size);
      next.set(old);
      return next;
    };
    this.#who = grown(this.#who);
    this.#mail = grown(this.#mail);
  }
}

/** Values other than 0 that stand there more than once. */
function repeated(words: Uint32Array): Set<number> {
  const sorted = words.slice().sort();
  const found = new Set<number>();
  for (let at = 1; at < sorted.length; at += 1) {
    const word = sorted[at] as number;
    if (word !== 0 && word === sorted[at - 1]) found.add(word);
  }
  return found;
}

/** 32 bits, never 0; another seed, other hashes. */
function hash(text: string, seed: number): number {
  let mixed = seed;
  for (let at = 0; at < text.length; at += 1) {
    mixed = Math.imul(mixed ^ text.charCodeAt(at), 0x9e3779b1);
    mixed ^= mixed >>> 15;
  }
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0 || 1;
}
