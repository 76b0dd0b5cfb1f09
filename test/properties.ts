import * as fc from 'fast-check';

const { PROPERTY_RUNS, PROPERTY_SEED } = process.env;

// A test run can be repeated: `npm test` tries the same cases on every machine. `PROPERTY_RUNS` is how often a property
// that names no number of its own is tried, with other cases each time; `PROPERTY_SEED`, as a failure prints it, repeats them.
fc.configureGlobal({
  ...(PROPERTY_SEED ? { seed: Number(PROPERTY_SEED) } : PROPERTY_RUNS === undefined && { seed: 1 }),
  ...(PROPERTY_RUNS && { numRuns: Number(PROPERTY_RUNS) }),
});
