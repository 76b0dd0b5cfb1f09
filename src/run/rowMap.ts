import type { LearnerId } from '../domain/ids.ts';
import type { Rows } from '../feed/rows/rows.ts';
import type { RowTable, RowTableWriter } from '../feed/rows/table.ts';

/** Room for rows that are not in the table, at first. */
const FEW = 4_096;

/**
 * Growing columns, one entry a data row of tonight's file. Of a row that stands in the table of the last applied run as
 * well: its place there, 4 bytes a row. Of any other its hash, whose it is, and flags: 13 bytes a row.
 */
export class RowMap {
  readonly #table: RowTable | undefined;
  /** Row of the table, or −1 − the place among the others; without a table every row is another, in its own place. */
  #place: Int32Array;
  #low: Uint32Array;
  #high: Uint32Array;
  #learner: Uint32Array;
  #flags: Uint8Array;
  #others = 0;
  length = 0;

  /** `rows`: room for so many; more are possible. */
  constructor(rows = 1024, table?: RowTable) {
    this.#table = table;
    this.#place = new Int32Array(table ? rows : 0);
    const others = table ? FEW : rows;
    this.#low = new Uint32Array(others);
    this.#high = new Uint32Array(others);
    this.#learner = new Uint32Array(others);
    this.#flags = new Uint8Array(others);
  }

  /** Appends rows: `matches` has the row of the table that each is, or a number below 0. */
  append({ count, hashLow, hashHigh }: Rows, matches: Int32Array): void {
    const first = this.length;
    this.length += count;
    if (!this.#table) {
      this.#makeRoom(this.length);
      this.#low.set(hashLow.subarray(0, count), first);
      this.#high.set(hashHigh.subarray(0, count), first);
      this.#others = this.length;
      return;
    }
    if (this.length > this.#place.length) this.#place = grown(this.#place, new Int32Array(roomFor(this.length)));
    const place = this.#place;
    for (let at = 0; at < count; at += 1) {
      const match = matches[at] as number;
      place[first + at] = match >= 0 ? match : -1 - this.#add(hashLow[at] as number, hashHigh[at] as number);
    }
  }

  /** The row is this one of the table, as has turned out. */
  recognise(at: number, match: number): void {
    this.#place[at] = match;
  }

  learner(at: number): LearnerId | 0 {
    const place = this.#placeOf(at);
    const learner = place >= 0 ? this.#table?.learner(place) : this.#learner[-1 - place];
    return learner as LearnerId | 0;
  }

  assign(at: number, learner: LearnerId | 0): void {
    this.#learner[this.#ownPlace(at)] = learner;
  }

  flags(at: number): number {
    const place = this.#placeOf(at);
    return (place >= 0 ? this.#table?.flags(place) : this.#flags[-1 - place]) as number;
  }

  setFlags(at: number, flags: number): void {
    this.#flags[this.#ownPlace(at)] = flags;
  }

  /** How many rows from this one on, `most` at most, stand one behind the other in the table of the last run as well. */
  together(at: number, most: number): number {
    const first = this.#placeOf(at);
    let count = 1;
    if (first >= 0) while (count < most && this.#place[at + count] === first + count) count += 1;
    return count;
  }

  /** Adds so many rows, which stand `together`, to the table of this run. */
  addTo(writer: RowTableWriter, at: number, count: number): void {
    const place = this.#placeOf(at);
    if (place >= 0) writer.addFrom(this.#table as RowTable, place, count);
    else {
      const own = -1 - place;
      const [low, high] = [this.#low[own] as number, this.#high[own] as number];
      writer.add(low, high, this.#learner[own] as number, this.#flags[own] as number);
    }
  }

  #placeOf(at: number): number {
    return this.#table ? (this.#place[at] as number) : -1 - at;
  }

  /** Where what is said of the row may differ from what the table says. */
  #ownPlace(at: number): number {
    const place = this.#placeOf(at);
    if (place < 0) return -1 - place;
    const table = this.#table as RowTable;
    const own = this.#add(table.hashLow(place), table.hashHigh(place));
    this.#learner[own] = table.learner(place);
    this.#flags[own] = table.flags(place);
    this.#place[at] = -1 - own;
    return own;
  }

  #add(low: number, high: number): number {
    const own = this.#others;
    this.#others += 1;
    this.#makeRoom(this.#others);
    this.#low[own] = low;
    this.#high[own] = high;
    return own;
  }

  #makeRoom(others: number): void {
    if (others <= this.#low.length) return;
    const room = roomFor(others);
    this.#low = grown(this.#low, new Uint32Array(room));
    this.#high = grown(this.#high, new Uint32Array(room));
    this.#learner = grown(this.#learner, new Uint32Array(room));
    this.#flags = grown(this.#flags, new Uint8Array(room));
  }
}

function roomFor(rows: number): number {
  return Math.ceil(rows * 1.5);
}

function grown<T extends Int32Array | Uint32Array | Uint8Array>(old: T, next: T): T {
  next.set(old);
  return next;
}
