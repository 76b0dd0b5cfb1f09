import { type Scenario, STATE } from '../scenario.ts';

const MOST = 100_000;

export const changing: Scenario = {
  name: 'changing',
  title: 'Changed documents in transactions with outbox',
  goals: [{ ours: 'Muster', theirs: 'raw bulkWrite', figure: 'wall', most: 1.3 }],
  growth: 'Muster',
  note: `One attribute of each of up to ${MOST} learners is changed: learners, audit and outbox. Raw bulkWrite: the same learner documents alone, in transactions of 1,000, in a collection of as many as Muster's.`,
  async run(stand) {
    const learners = Math.min(MOST, stand.workload.rows);
    for (const turn of stand.turns(1)) {
      await stand.measure(turn, 'Muster', 'changing', { database: STATE, learners });
      await stand.measure(turn, 'raw bulkWrite', 'rawChanges', { from: STATE, to: 'bench_floor', learners });
    }
  },
};
