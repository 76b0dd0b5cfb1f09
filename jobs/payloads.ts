import { z } from 'zod';
import type { RunId } from '../src/domain/ids.ts';

const Run = z
  .string()
  .regex(/^r[0-9]+$/)
  .transform((id) => id as RunId);

/** A batch of a run: where to look, never what happened. */
export const BatchPayload = z.object({ run: Run, batch: z.number().int().nonnegative() });
export const RunPayload = z.object({ run: Run });
