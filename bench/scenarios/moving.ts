import { type Scenario, STATE } from '../scenario.ts';

const MOST = 200;

export const moving: Scenario = {
  name: 'moving',
  title: 'One learner moved by hand, to the last subscription',
  goals: [],
  limits: [{ side: 'Muster', figure: 'p99', unit: 'ms', most: 50 }],
  note: `${MOST} learners a turn (in small companies a fiftieth of all), one after the other, with workers and relay running in the same process.`,
  async run(stand) {
    for (const turn of stand.turns()) {
      const from = 1 + turn * Math.floor(stand.workload.rows / (stand.runs + 2));
      await stand.measure(turn, 'Muster', 'moving', {
        database: STATE,
        moves: Math.min(MOST, Math.ceil(stand.workload.rows / 50)),
        from,
      });
    }
  },
};
