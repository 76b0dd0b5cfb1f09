import { type Scenario, STATE } from '../scenario.ts';

const MOST = 5_000;

export const night: Scenario = {
  name: 'night',
  title: '1 % changed: the whole run to the last subscription',
  goals: [
    { ours: 'Muster', theirs: 'papaparse', figure: 'servers', most: 1.5 },
    { ours: 'Muster', theirs: 'row by row', figure: 'wall', least: 50 },
  ],
  growth: 'Muster',
  note: `The row-by-row importer takes a tenth of the rows, at most ${MOST}; its figures are multiplied up to the whole file.`,
  async run(stand) {
    const { rows } = stand.workload;
    const sample = Math.min(MOST, Math.ceil(rows / 10));
    const database = 'bench_row_by_row';
    await stand.tell('Muster', 'importing', { database: STATE, file: await stand.workload.file(1) });
    for (const turn of stand.turns()) {
      const before = await stand.workload.file(turn + 1);
      const after = await stand.workload.file(turn + 2);
      await stand.measure(turn, 'papaparse', 'papaparse', { file: after });
      await stand.measure(turn, 'Muster', 'importing', { database: STATE, file: after });
      if (turn > 0) await stand.measure(turn, 'row by row', 'rowByRow', { before, after, rows, sample, database });
    }
  },
};
