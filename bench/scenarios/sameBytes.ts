import { type Scenario, STATE } from '../scenario.ts';

export const sameBytes: Scenario = {
  name: 'same-bytes',
  title: 'The same bytes again',
  goals: [{ ours: 'Muster', theirs: 'SHA-256', figure: 'wall', most: 1.3 }],
  growth: 'Muster',
  async run(stand) {
    const file = await stand.workload.file(1);
    await stand.tell('Muster', 'importing', { database: STATE, file });
    for (const turn of stand.turns()) {
      await stand.measure(turn, 'SHA-256', 'sha256', { file });
      await stand.measure(turn, 'Muster', 'importing', { database: STATE, file });
    }
  },
};
