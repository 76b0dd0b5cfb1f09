import { randomBytes } from 'node:crypto';
import type { Store } from './store.ts';

/** A secret of the environment for one purpose, hex: made when it is first asked for, the same ever after. */
export async function environmentSecret(store: Store, purpose: 'erasures' | 'webhooks'): Promise<string> {
  const fresh = randomBytes(32).toString('hex');
  const doc = await store.meta.findOneAndUpdate(
    { _id: purpose },
    { $setOnInsert: { secret: fresh } },
    { upsert: true, returnDocument: 'after' },
  );
  return doc?.secret ?? fresh;
}
