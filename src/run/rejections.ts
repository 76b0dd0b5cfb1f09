import type { Rejection } from '../domain/claim.ts';
import { TooManyRejected } from '../feed/errors.ts';

/** Rejected rows of one run: what they say is held in memory, some 700 bytes each, until the plan is made. */
const MOST = 250_000;

/** The rejected rows of a run. */
export class Rejections {
  readonly list: Rejection[];
  readonly #file: string;

  constructor(file: string, rejections: readonly Rejection[] = []) {
    this.#file = file;
    this.list = [...rejections];
  }

  /** @throws TooManyRejected */
  add(rejections: Iterable<Rejection>): void {
    for (const rejection of rejections) this.list.push(rejection);
    const [first] = this.list;
    if (first && this.list.length > MOST) throw new TooManyRejected(this.#file, MOST, first);
  }
}
