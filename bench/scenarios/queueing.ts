import { type Scenario, STATE } from '../scenario.ts';

export const queueing: Scenario = {
  name: 'queueing',
  title: 'Enqueue and drain',
  goals: [{ ours: 'Muster', theirs: 'BullMQ, 500 items a job', figure: 'wall', most: 1.5 }],
  growth: 'Muster',
  note: 'One item a learner. Muster reads what waits from its outbox; plain BullMQ has the items in its jobs.',
  async run(stand) {
    const items = stand.workload.rows;
    for (const turn of stand.turns()) {
      await stand.measure(turn, 'Muster', 'queueing', { database: STATE, items });
      await stand.measure(turn, 'BullMQ, 500 items a job', 'bullmq', { items });
    }
  },
};
