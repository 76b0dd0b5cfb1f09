import { writeSync } from 'node:fs';
import { pino } from 'pino';
import type { RunId } from '../../../src/domain/ids.ts';
import { drainRun } from '../../../src/run/manual.ts';
import { systemClock } from '../../../src/store/services.ts';
import { openStore } from '../../../src/store/store.ts';

/**
 * A worker that is killed whenever it reads one learner's document for its work: `killer.ts URI RUN COLLECTION LEARNER`.
 * Its last word is the id of its session, hex.
 */
const [uri, run, collection, learner] = process.argv.slice(2) as [string, string, string, string];
const store = await openStore(uri, { monitorCommands: true });
store.connection.getClient().on('commandStarted', ({ command }) => {
  if (command.find !== collection || !command.filter._id?.$in?.includes(Number(learner))) return;
  writeSync(1, command.lsid.id.toString('hex'));
  process.kill(process.pid, 'SIGKILL');
});
await drainRun({ store, clock: systemClock, log: pino({ level: 'silent' }), purgeRetentionDays: 30 }, run as RunId);
await store.close();
