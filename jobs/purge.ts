import { settling } from './settle.ts';

/** As `expire`, and deletes subscription and results of what a purging removal took away, restorable for a while (R8, R11). */
export const purge = settling('purge');
