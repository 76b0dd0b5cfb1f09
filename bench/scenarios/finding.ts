import { type Scenario, STATE } from '../scenario.ts';

export const finding: Scenario = {
  name: 'finding',
  title: '1 % of learners changed: finding and parsing them',
  goals: [
    { ours: 'Muster', theirs: 'SHA-256', figure: 'node', most: 1.5 },
    { ours: 'Muster', theirs: 'DuckDB join', figure: 'node', most: 0.1 },
  ],
  growth: 'Muster',
  async run(stand) {
    const before = await stand.workload.file(1);
    const file = await stand.workload.file(2);
    await stand.tell('prepare', 'importing', { database: STATE, file: before });
    await stand.end('prepare');
    for (const turn of stand.turns()) {
      await stand.measure(turn, 'SHA-256', 'sha256', { file });
      await stand.measure(turn, 'Muster', 'finding', { database: STATE, file });
      await stand.measure(turn, 'DuckDB join', 'duckdb', { before, after: file });
    }
  },
};
