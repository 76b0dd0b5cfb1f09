import { draw } from '../../../src/example/randomness.ts';

/** Draws numbers of a seed: that of FAULTS_SEED, else a new one, printed so that a failure can be had again. */
export function seeded(): { readonly seed: number; below(size: number): number } {
  const seed = Number(process.env.FAULTS_SEED ?? Date.now() % 1_000_000);
  console.log(`FAULTS_SEED=${seed}`);
  let drawn = 0;
  return { seed, below: (size) => draw(seed, (drawn += 1)) % size };
}
