import { createHmac, hkdfSync } from 'node:crypto';

const PREFIX = 'whsec_';

/**
 * The key of a feed's webhook, as its receiver is to know it (`whsec_` and Base64): the feed's own, or one derived
 * from MUSTER_SECRET for this feed alone. Undefined where there is neither.
 */
export function webhookSecret(feed: string, own: string | undefined, musterSecret: string | undefined) {
  if (own !== undefined) return own;
  if (musterSecret === undefined) return undefined;
  const key = hkdfSync('sha256', musterSecret, '', `muster webhook ${feed}`, 32);
  return PREFIX + Buffer.from(key).toString('base64');
}

/** Headers of Standard Webhooks: who asks for the same `id` twice has seen it. `at`: of this try, not of the event. */
export function webhookHeaders(secret: string | undefined, id: string, at: Date, body: string): Record<string, string> {
  const timestamp = String(Math.floor(at.getTime() / 1_000));
  const headers = { 'webhook-id': id, 'webhook-timestamp': timestamp };
  if (secret === undefined) return headers;
  const key = Buffer.from(secret.slice(PREFIX.length), 'base64');
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
  return { ...headers, 'webhook-signature': `v1,${signature}` };
}
