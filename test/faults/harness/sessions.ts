import { setTimeout as pause } from 'node:timers/promises';
import type { Store } from '../../../src/store/store.ts';

/**
 * Ends the open transactions of processes that are gone. MongoDB does so by itself when `transactionLifetimeLimitSeconds`
 * (60 s) have passed; until then what they wrote is locked for others, who wait.
 */
export async function expireTransactions(store: Store, appName: string): Promise<number> {
  const admin = store.connection.getClient().db('admin');
  for (let ended = 0; ; await pause(5)) {
    const open = await admin
      .aggregate(
        [
          { $currentOp: { allUsers: true, idleSessions: true } },
          { $match: { appName, transaction: { $exists: true } } },
          { $project: { lsid: 1 } },
        ],
        { readConcern: { level: 'local' } },
      )
      .toArray();
    if (open.length === 0) return ended;
    await admin.command({ killAllSessionsByPattern: open.map(({ lsid }) => ({ lsid })) });
    ended += open.length;
  }
}
