import { schedule } from 'node-cron';
import type { Queues } from '../queue/queues.ts';
import type { Services } from '../store/services.ts';
import { scheduleDueRuns } from './dueRuns.ts';

export interface Scheduler {
  /** Wakes no more, and waits for the end of the round that is under way. */
  stop(): Promise<void>;
}

/** Every ten seconds of the wall clock, so just after each minute begins. */
const WAKE = '*/10 * * * * *';
/** node-cron waits for a moment of the wall clock: one that is set back by days would keep it silent for as long, ms. */
const WAKE_ANYWAY = 30_000;

/** Looks for due runs now and whenever it is woken. A round that fails is made up for by the next. */
export function startScheduler(services: Services, queues: Queues): Scheduler {
  const { clock, log } = services;
  let round: Promise<unknown> = Promise.resolve();
  const wake = (): Promise<unknown> => {
    round = round.then(() =>
      scheduleDueRuns(services, queues, clock.now()).catch((error) =>
        log.warn({ error: (error as Error).name }, 'schedule waits'),
      ),
    );
    return round;
  };
  const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined, debug: () => undefined };
  const ticker = schedule(WAKE, wake, { noOverlap: true, suppressMissedWarning: true, logger: quiet });
  const anyway = setInterval(() => void wake(), WAKE_ANYWAY);
  void wake();
  return {
    async stop() {
      clearInterval(anyway);
      await ticker.destroy();
      await round;
    },
  };
}
