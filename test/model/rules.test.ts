import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { verify } from '../../src/run/verify.ts';
import { useMuster } from '../harness.ts';
import { anyOperation, anyWorld } from './operations.ts';
import { Pair } from './pair.ts';

/** Sequences to run. 30 take half a minute. `MODEL_SEED` and `MODEL_PATH`, as a failure prints them, repeat one. */
const RUNS = Number(process.env.MODEL_RUNS ?? 30);
const SEED = process.env.MODEL_SEED;
const PATH = process.env.MODEL_PATH;

const muster = useMuster();

test(
  'R1–R20: whatever happens, the store holds what the rules say',
  async () => {
    await fc.assert(
      fc.asyncProperty(
        anyWorld,
        fc.array(anyOperation, { minLength: 8, maxLength: 24, size: 'max' }),
        async (world, operations) => {
          const pair = await Pair.build(muster, world);
          for (const operation of operations) {
            await pair.happen(operation);
            const { real, modelled } = await pair.facts();
            expect(real).toEqual(modelled);
          }
          expect(await pair.unfinished()).toBe(0);
          expect((await verify(muster.context, { repair: false })).drift).toEqual([]);
        },
      ),
      {
        numRuns: RUNS,
        ...(SEED && { seed: Number(SEED) }),
        ...(PATH && { path: PATH }),
        interruptAfterTimeLimit: RUNS * 20_000,
      },
    );
  },
  RUNS * 20_000 + 60_000,
);
