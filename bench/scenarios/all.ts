import type { Scenario } from '../scenario.ts';
import { changing } from './changing.ts';
import { everyRow } from './everyRow.ts';
import { finding } from './finding.ts';
import { firstImport } from './firstImport.ts';
import { linking, unlinking } from './linking.ts';
import { moving } from './moving.ts';
import { night } from './night.ts';
import { queueing } from './queueing.ts';
import { sameBytes } from './sameBytes.ts';
import { otherBytes, shuffled } from './sameFacts.ts';
import { twoWorkers } from './twoWorkers.ts';

/**
 * In this order: the first import leaves what the others start from; changes by hand come last, since they have the
 * feed look again.
 */
export const scenarios: readonly Scenario[] = [
  firstImport,
  sameBytes,
  otherBytes,
  shuffled,
  finding,
  night,
  everyRow,
  queueing,
  linking,
  unlinking,
  moving,
  changing,
  twoWorkers,
];
