import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { verify } from '../../src/run/verify.ts';
import { useMuster } from '../harness.ts';
import { parameters, TIMEOUT, within } from './budget.ts';
import { anyOperation, anyWorld } from './operations.ts';
import { Pair } from './pair.ts';

const muster = useMuster();

test(
  'R1–R20: whatever happens, the store holds what the rules say',
  async () => {
    await fc.assert(
      fc.asyncProperty(
        anyWorld,
        fc.array(anyOperation, { minLength: 8, maxLength: 24, size: 'max' }),
        within(25_000, async (world, operations) => {
          const pair = await Pair.build(muster, world);
          for (const operation of operations) {
            await pair.happen(operation);
            const { real, modelled } = await pair.facts();
            expect(real).toEqual(modelled);
          }
          expect(await pair.unfinished()).toBe(0);
          expect((await verify(muster.context, { repair: false })).drift).toEqual([]);
        }),
      ),
      parameters,
    );
  },
  TIMEOUT,
);
