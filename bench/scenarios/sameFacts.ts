import type { Variant } from '../../src/example/sheet.ts';
import { type Scenario, STATE, type Stand } from '../scenario.ts';

/** First the other file, then the first night again, and so on: each differs from the one before. */
async function alternate(stand: Stand, variant: Variant): Promise<void> {
  const files = [await stand.workload.file(1, variant), await stand.workload.file(1)];
  await stand.tell('Muster', 'importing', { database: STATE, file: files[1] as string });
  for (let turn = 0; turn <= stand.runs + 1; turn += 1) {
    const file = files[turn % 2] as string;
    await stand.measure(turn, 'SHA-256', 'sha256', { file });
    await stand.measure(turn, 'Muster', 'importing', { database: STATE, file });
  }
}

export const otherBytes: Scenario = {
  name: 'other-bytes',
  title: 'The same facts, other bytes (a row edited outside the mapped columns)',
  goals: [{ ours: 'Muster', theirs: 'SHA-256', figure: 'node', most: 2 }],
  growth: 'Muster',
  run: (stand) => alternate(stand, 'edit-outside'),
};

export const shuffled: Scenario = {
  name: 'shuffled',
  title: 'The same facts, rows shuffled',
  goals: [{ ours: 'Muster', theirs: 'SHA-256', figure: 'node', most: 4.5 }],
  growth: 'Muster',
  run: (stand) => alternate(stand, 'shuffled'),
};
