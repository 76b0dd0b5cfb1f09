import { z } from 'zod';
import { DEFAULT_LIMITS } from '../domain/guard.ts';
import type { Limits } from '../domain/policy.ts';

/** `off` switches a limit off; YAML of old reads a bare `off` as false. */
const off = (value: unknown) => (value === 'off' || value === false ? null : value);

const limit = (name: Exclude<keyof Limits, 'rowsPercent'>) =>
  z
    .preprocess(off, z.number({ error: 'must be a number, or off' }).min(0, 'must be 0 or more').nullable())
    .default(DEFAULT_LIMITS[name]);

const RowsPercent = z
  .strictObject(
    { min: z.number().min(0, 'must be 0 or more').default(80), max: z.number().default(200) },
    {
      error: (issue) =>
        issue.code === 'invalid_type' ? 'must be { min, max } in percent of the last run, or off' : undefined,
    },
  )
  .refine(({ min, max }) => min <= max, 'min is above max');

/** The `guard` of a feed file. */
export const Guard = z.strictObject({
  membershipsLostPercent: limit('membershipsLostPercent'),
  membershipsRemovedPercent: limit('membershipsRemovedPercent'),
  membershipsRemoved: limit('membershipsRemoved'),
  membershipsAddedPercent: limit('membershipsAddedPercent'),
  emptiedGroups: limit('emptiedGroups'),
  groupRemovedPercent: limit('groupRemovedPercent'),
  deactivatedPercent: limit('deactivatedPercent'),
  createdPercent: limit('createdPercent'),
  identityChangedPercent: limit('identityChangedPercent'),
  purged: limit('purged'),
  rowsPercent: z.preprocess(off, RowsPercent.nullable()).default(DEFAULT_LIMITS.rowsPercent),
  rejectedPercent: limit('rejectedPercent'),
  unrecognised: limit('unrecognised'),
  removed24hPercent: limit('removed24hPercent'),
  removed7dPercent: limit('removed7dPercent'),
  allFeeds24hPercent: limit('allFeeds24hPercent'),
});
