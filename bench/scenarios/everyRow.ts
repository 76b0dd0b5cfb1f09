import { type Scenario, STATE } from '../scenario.ts';

export const everyRow: Scenario = {
  name: 'every-row',
  title: 'The same facts, every row read again (the settings were changed)',
  goals: [],
  growth: 'Muster',
  note: 'Rows cannot be compared with those of the night before: each is parsed, and compared with its learner. Beside it, what parsing alone takes.',
  async run(stand) {
    const file = await stand.workload.file(1);
    await stand.tell('prepare', 'importing', { database: STATE, file });
    await stand.end('prepare');
    for (const turn of stand.turns(1)) {
      await stand.measure(turn, 'papaparse', 'papaparse', { file });
      await stand.tell('Muster', 'changingSettings', { database: STATE, graceDays: turn % 2 });
      await stand.measure(turn, 'Muster', 'importing', { database: STATE, file });
    }
  },
};
