import { draw } from '../../../src/example/randomness.ts';

/** Draws numbers of a seed: that of FAULTS_SEED (`new` = another each time), else always the same, so that a test run can be repeated. */
export function seeded(): { readonly seed: number; below(size: number): number } {
  const { FAULTS_SEED = '976145' } = process.env;
  const seed = FAULTS_SEED === 'new' ? Date.now() % 1_000_000 : Number(FAULTS_SEED);
  console.log(`FAULTS_SEED=${seed}`);
  let drawn = 0;
  return { seed, below: (size) => draw(seed, (drawn += 1)) % size };
}
