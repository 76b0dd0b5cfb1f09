import * as fc from 'fast-check';

const { MODEL_RUNS, PROPERTY_RUNS, PROPERTY_SEED } = process.env;
const looking = PROPERTY_RUNS !== undefined || MODEL_RUNS !== undefined;

// A test run can be repeated: `npm test` tries the same cases on every machine. `PROPERTY_RUNS` is how often a property
// that names no number of its own is tried, with other cases each time (as `MODEL_RUNS` has them); `PROPERTY_SEED`, as a failure prints it, repeats them.
fc.configureGlobal({
  ...(PROPERTY_SEED ? { seed: Number(PROPERTY_SEED) } : !looking && { seed: 1 }),
  ...(PROPERTY_RUNS && { numRuns: Number(PROPERTY_RUNS) }),
});
