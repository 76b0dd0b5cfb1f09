import { type Scenario, STATE } from '../scenario.ts';

export const firstImport: Scenario = {
  name: 'first-import',
  title: 'First import of everybody, to the last subscription',
  goals: [{ ours: 'Muster', theirs: 'raw driver inserts', figure: 'wall', most: 1.3 }],
  growth: 'Muster',
  note: 'Raw inserts: the learners, subscriptions, plan, audit and table documents that the run leaves behind, by one writer. Each import runs in a process of its own.',
  async run(stand) {
    const file = await stand.workload.file(1);
    for (const turn of stand.turns(1)) {
      await stand.tell('prepare', 'preparing', { database: STATE, company: stand.company });
      await stand.measure(turn, 'Muster', 'importing', { database: STATE, file });
      await stand.end('Muster');
      await stand.measure(turn, 'raw driver inserts', 'rawInserts', { from: STATE, to: 'bench_floor' });
    }
  },
};
