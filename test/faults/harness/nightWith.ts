import { expect } from 'vitest';
import { type Command, intercept, type Steps } from './intercept.ts';
import type { Night, World } from './world.ts';

/** What the night is compared by: the seed and the place, where it is not as the undisturbed one. */
export interface Disturbance {
  readonly steps: Steps;
  readonly what: string;
  /** Takes a fault away that nothing has met. */
  readonly undo?: () => Promise<void>;
  /** How long it may take to come to rest, ms. */
  readonly within?: number;
}

/** A night with workers up, with these steps at each of its commands; goes on to the end, and compares. Gives how many commands there were. */
export async function nightWith(world: World, night: Night, { steps, what, undo, within = 60_000 }: Disturbance) {
  const { engine } = world;
  await world.reset(night);
  const interception = intercept(engine.store, steps);
  await engine.work();
  // It may be given up, as a command is that meets the fault: what it began goes on with the next process.
  await engine.import(world.path(night)).catch(() => undefined);
  await engine.recover(within);
  const commands = interception.stop();
  await undo?.();
  expect(await world.goOn(night), `night ${night}, ${what}`).toEqual(world.undisturbed(night));
  return commands;
}

/** What is done at the n-th of the commands that fit. */
export function at(n: number, fits: (command: Command) => boolean, act: (command: Command) => Promise<void> | void) {
  let met = 0;
  return (command: Command): Promise<void> | void => {
    if (!fits(command)) return;
    met += 1;
    if (met === n) return act(command);
  };
}
