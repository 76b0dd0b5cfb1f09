import { existsSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Company, makeCompany } from '../src/example/company.ts';
import type { Variant } from '../src/example/sheet.ts';
import { writeNight } from '../src/example/write.ts';

/** Goes up when the generator writes other files for the same arguments. */
const VERSION = 1;

/** The example company at one size, and its nights as files that are kept between runs of the bench. */
export class Workload {
  readonly rows: number;
  readonly company: Company;
  readonly #directory: string;

  constructor(rows: number) {
    this.rows = rows;
    this.company = makeCompany({
      seed: 1,
      learners: rows,
      groups: Math.min(10_000, Math.max(100, Math.round(rows / 100))),
    });
    this.#directory = join(tmpdir(), 'muster-bench', `v${VERSION}-${rows}`);
  }

  /** Path of one night's file; written where it is not there yet. */
  async file(night: number, variant?: Variant): Promise<string> {
    const path = join(this.#directory, `night-${night}${variant ? `-${variant}` : ''}.csv`);
    if (existsSync(path)) return path;
    mkdirSync(this.#directory, { recursive: true });
    const unfinished = `${path}.${process.pid}`;
    await writeNight(unfinished, this.company, { night, variant });
    renameSync(unfinished, path);
    return path;
  }
}

export function megabytes(path: string): number {
  return statSync(path).size / 1e6;
}
