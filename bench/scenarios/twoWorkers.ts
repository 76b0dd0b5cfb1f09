import type { Scenario } from '../scenario.ts';

const DATABASE = 'bench_workers';

export const twoWorkers: Scenario = {
  name: 'two-workers',
  title: 'First import with two worker processes instead of one',
  goals: [{ ours: 'two processes', theirs: 'one process', figure: 'wall', most: 1 }],
  async run(stand) {
    const file = await stand.workload.file(1);
    for (const turn of stand.turns(1)) {
      for (const side of ['one process', 'two processes']) {
        await stand.tell('prepare', 'preparing', { database: DATABASE, company: stand.company });
        if (side === 'two processes') await stand.tell('second', 'working', { database: DATABASE });
        await stand.measure(turn, side, 'importing', { database: DATABASE, file });
        await stand.end(side);
        await stand.end('second');
      }
    }
  },
};
