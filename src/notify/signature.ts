import { createHmac, hkdfSync } from 'node:crypto';
import { environmentSecret } from '../store/secrets.ts';
import type { Services } from '../store/services.ts';

const PREFIX = 'whsec_';

/**
 * The key of a feed's webhook, as its receiver is to know it (`whsec_` and Base64): the feed's own, or one derived
 * for this feed alone from MUSTER_SECRET; where that is not set, from a secret that the database keeps.
 */
export async function webhookSecret(
  { store }: Pick<Services, 'store'>,
  feed: string,
  own: string | undefined,
  musterSecret: string | undefined,
): Promise<string> {
  return own ?? derivedSecret(feed, musterSecret ?? (await environmentSecret(store, 'webhooks')));
}

export function derivedSecret(feed: string, from: string): string {
  const key = hkdfSync('sha256', from, '', `muster webhook ${feed}`, 32);
  return PREFIX + Buffer.from(key).toString('base64');
}

/** Headers of Standard Webhooks: who asks for the same `id` twice has seen it. `at`: of this try, not of the event. */
export function webhookHeaders(secret: string, id: string, at: Date, body: string): Record<string, string> {
  const timestamp = String(Math.floor(at.getTime() / 1_000));
  const headers = { 'webhook-id': id, 'webhook-timestamp': timestamp };
  const key = Buffer.from(secret.slice(PREFIX.length), 'base64');
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
  return { ...headers, 'webhook-signature': `v1,${signature}` };
}
