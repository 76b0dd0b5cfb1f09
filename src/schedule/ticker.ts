import { schedule } from 'node-cron';
import type { Queues } from '../queue/queues.ts';
import type { Services } from '../store/services.ts';
import { scheduleDueReports } from './dueReports.ts';
import { scheduleDueRuns } from './dueRuns.ts';
import { type Rounds, roundsOf } from './rounds.ts';

/** Every ten seconds of the wall clock, so just after each minute begins. */
const WAKE = '*/10 * * * * *';
/** node-cron waits for a moment of the wall clock: one that is set back by days would keep it silent for as long, ms. */
const WAKE_ANYWAY = 30_000;
/** What node-cron would say: that it was late, which is made up for here. */
const SILENT = { info: () => {}, warn: () => {}, error: () => {}, debug: () => {} };

/** Looks for due runs and reports now and whenever it is woken. */
export function startScheduler(services: Services, queues: Queues): Pick<Rounds, 'stop'> {
  const { clock, log } = services;
  const rounds = roundsOf(
    async () => {
      // A run that waits for Redis does not keep reports waiting.
      await scheduleDueReports(services, clock.now());
      await scheduleDueRuns(services, queues, clock.now());
    },
    (error) => log.warn({ error: error.name }, 'schedule waits'),
  );
  const ticker = schedule(WAKE, () => rounds.begin(), { suppressMissedWarning: true, logger: SILENT });
  const anyway = setInterval(() => void rounds.begin(), WAKE_ANYWAY);
  void rounds.begin();
  return {
    async stop() {
      clearInterval(anyway);
      await ticker.destroy();
      await rounds.stop();
    },
  };
}
