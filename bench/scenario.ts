import type { Cost } from './measure.ts';
import { Side } from './side.ts';
import type { Answer, Surroundings, TaskName, TaskOrder } from './tasks.ts';
import type { Workload } from './workload.ts';

/** What a goal compares. `servers`: CPU of Node and mongod together. */
export type Figure = 'wall' | 'node' | 'servers';

/** One line of what is to be reached: ours at most `most` times theirs (or at least `least` times faster). */
export interface Goal {
  readonly ours: string;
  readonly theirs: string;
  readonly figure: Figure;
  readonly most?: number;
  readonly least?: number;
}

/** A figure of ours that has a limit of its own, whatever others do. */
export interface Limit {
  readonly side: string;
  readonly figure: string;
  readonly unit: string;
  readonly most: number;
}

export interface Scenario {
  readonly name: string;
  readonly title: string;
  readonly goals: readonly Goal[];
  readonly limits?: readonly Limit[];
  /** What a reader must know to judge the figures. */
  readonly note?: string;
  /** Side whose wall time stands in the table of growth. */
  readonly growth?: string;
  run(stand: Stand): Promise<void>;
}

/** Database that holds the first night, applied. */
export const STATE = 'bench_state';

/** Where one scenario is run at one size: its sides, and what they answered. */
export class Stand {
  readonly workload: Workload;
  readonly runs: number;
  readonly answers = new Map<string, Answer[]>();
  readonly #sides = new Map<string, Side>();
  readonly #compiled: string;
  readonly #surroundings: Surroundings;

  constructor(compiled: string, surroundings: Surroundings, workload: Workload, runs: number) {
    this.#compiled = compiled;
    this.#surroundings = surroundings;
    this.workload = workload;
    this.runs = runs;
  }

  /** Turns of a scenario; turn 0 warms up and is not counted. Work of many seconds does without it: `from` 1. */
  *turns(from: 0 | 1 = 0): Generator<number> {
    for (let turn: number = from; turn <= this.runs; turn += 1) yield turn;
  }

  /** Has a side do a task, without counting it. */
  tell<Name extends TaskName>(side: string, task: Name, order: TaskOrder<Name>): Promise<Answer> {
    const found = this.#sides.get(side) ?? new Side(this.#compiled, this.#surroundings);
    this.#sides.set(side, found);
    return found.do(task, order);
  }

  /** Has a side do a task and keeps what it cost, unless the turn only warms up. */
  async measure<Name extends TaskName>(
    turn: number,
    side: string,
    task: Name,
    order: TaskOrder<Name>,
  ): Promise<Answer> {
    const answer = await this.tell(side, task, order);
    if (turn > 0) this.answers.set(side, [...(this.answers.get(side) ?? []), answer]);
    return answer;
  }

  async end(side: string): Promise<void> {
    await this.#sides.get(side)?.end();
    this.#sides.delete(side);
  }

  async endAll(): Promise<void> {
    for (const side of this.#sides.keys()) await this.end(side);
  }

  get company(): { learners: number; groups: number } {
    const { learners, groups } = this.workload.company;
    return { learners, groups: groups.length };
  }
}

/** A cost in seconds by the name of a goal's figure; for a sample, what the whole would have cost. */
export function figureOf(answer: Cost & { times?: number }, figure: Figure): number {
  const seconds = figure === 'servers' ? answer.node + answer.mongod : answer[figure];
  return seconds * (answer.times ?? 1);
}
