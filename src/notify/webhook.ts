import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { MusterError } from '../domain/errors.ts';
import { publicLookup, refusePrivate } from './addresses.ts';

/** How long a receiver may take to answer, ms. */
const DEADLINE = 15_000;

/** The receiver answered, but did not take the message. */
export class WebhookRefused extends MusterError {
  readonly code = 'webhook-refused';
  readonly status: number;
  constructor(status: number) {
    super(
      `The receiver answered with HTTP ${status}${status >= 300 && status < 400 ? '; redirects are not followed' : ''}.`,
    );
    this.status = status;
  }
}

/** Posts a JSON body. Resolves where the receiver answers with 2xx. @throws {WebhookRefused | PrivateAddress} */
export function postWebhook(
  address: string,
  body: string,
  headers: Record<string, string>,
  { allowPrivate }: { allowPrivate: boolean },
  stopping?: AbortSignal,
): Promise<void> {
  const url = new URL(address);
  if (!allowPrivate) refusePrivate(url);
  const late = AbortSignal.timeout(DEADLINE);
  const request = url.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const sent = request(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        'user-agent': 'Muster',
        ...headers,
      },
      // A connection of its own: one that is kept open was looked up at another time.
      agent: false,
      signal: stopping ? AbortSignal.any([late, stopping]) : late,
      ...(!allowPrivate && { lookup: publicLookup }),
    });
    sent.on('error', reject);
    sent.on('response', (response) => {
      response.on('error', () => undefined);
      response.resume();
      const { statusCode = 0 } = response;
      if (statusCode >= 200 && statusCode < 300) resolve();
      else reject(new WebhookRefused(statusCode));
    });
    sent.end(body);
  });
}
