import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import type { Answer, Surroundings, TaskName, TaskOrder } from './tasks.ts';

/** One side of a comparison: a process of its own, so that memory, CPU and warmth of one do not touch the other. */
export class Side {
  readonly #process: ChildProcess;
  #waiting: { resolve: (answer: Answer) => void; reject: (error: Error) => void } | undefined;

  constructor(compiled: string, surroundings: Surroundings) {
    this.#process = fork(join(compiled, 'child.js'), [JSON.stringify(surroundings)], {
      execArgv: process.env.BENCH_CPU_PROF ? ['--cpu-prof', `--cpu-prof-dir=${process.env.BENCH_CPU_PROF}`] : [],
    });
    this.#process.on('message', (message: { answer: Answer } | { error: string }) => {
      const waiting = this.#waiting;
      this.#waiting = undefined;
      if ('error' in message) waiting?.reject(new Error(message.error));
      else waiting?.resolve(message.answer);
    });
    this.#process.on('exit', (code) => this.#waiting?.reject(new Error(`A side of the bench ended with ${code}.`)));
  }

  do<Name extends TaskName>(name: Name, order: TaskOrder<Name>): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#process.send({ name, order });
    });
  }

  async end(): Promise<void> {
    if (this.#process.exitCode !== null) return;
    const ended = new Promise((resolve) => this.#process.once('exit', resolve));
    this.#process.send({ end: true });
    await ended;
  }
}
