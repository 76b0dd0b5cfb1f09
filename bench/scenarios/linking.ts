import { type Scenario, STATE } from '../scenario.ts';

const MOST = 100_000;

function scenario(name: string, title: string, link: boolean): Scenario {
  return {
    name,
    title,
    goals: [{ ours: 'Muster', theirs: 'raw driver writes', figure: 'wall', most: 1.5 }],
    growth: 'Muster',
    note: `A group of ${MOST} members, or of everybody where there are fewer. Raw driver writes: the same subscriptions documents in transactions of 1,000, in a collection of as many as Muster's, and the run's own batches and audit.`,
    async run(stand) {
      const members = Math.min(MOST, stand.workload.rows);
      for (const turn of stand.turns(1)) {
        const order = { database: STATE, members };
        if (!link) await stand.tell('Muster', 'linking', { ...order, link: true });
        const { figures } = await stand.measure(turn, 'Muster', 'linking', { ...order, link });
        await stand.measure(turn, 'raw driver writes', 'rawLinks', {
          from: STATE,
          to: 'bench_floor',
          run: `r${figures?.run}`,
        });
      }
    },
  };
}

export const linking = scenario('linking', 'Linking a course to a group of 100,000', true);
export const unlinking = scenario('unlinking', 'Unlinking it with `expire`', false);
