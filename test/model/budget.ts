import type { Parameters } from 'fast-check';

const { MODEL_RUNS, MODEL_SEED, MODEL_PATH, MODEL_SHRINK } = process.env;
const unlimited = MODEL_RUNS !== undefined || MODEL_SEED !== undefined;

/** Time for the runs of one property and for making its counterexample small, ms. */
export const TIMEOUT = unlimited ? 3_600_000 : 300_000;

/** `MODEL_SHRINK=no` shows the first counterexample as it was found. `MODEL_RUNS` is how often a property is tried; `MODEL_SEED` and `MODEL_PATH`, as a failure prints them, repeat one. */
export const parameters: Parameters<unknown> = {
  numRuns: Number(MODEL_RUNS ?? 100),
  ...(MODEL_SHRINK === 'no' && { endOnFailure: true }),
  ...(MODEL_SEED && { seed: Number(MODEL_SEED) }),
  ...(MODEL_PATH && { path: MODEL_PATH }),
};

/**
 * The property, of which no new run is begun when `ms` have passed, unless `MODEL_RUNS` asks for all of them, or it
 * has failed and its counterexample is being made small.
 */
export function within<T extends unknown[]>(ms: number, property: (...values: T) => Promise<void>): typeof property {
  const end = Date.now() + ms;
  let failed = false;
  return async (...values) => {
    if (Date.now() > end && !unlimited && !failed) return;
    try {
      await property(...values);
    } catch (error) {
      failed = true;
      throw error;
    }
  };
}
