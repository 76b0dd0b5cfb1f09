import type { Telling } from '../settings/telling.ts';
import { readFeedDoc, settingsOf } from '../store/feeds.ts';
import type { NotificationDoc } from '../store/models.ts';
import type { Services } from '../store/services.ts';
import { sendMail } from './mail.ts';
import { type Message, mailOf } from './message.ts';
import { webhookHeaders, webhookSecret } from './signature.ts';
import { postWebhook, WebhookRefused } from './webhook.ts';

/** Delivered at once by one caller. */
const AT_ONCE = 10;
/** Longer than any try takes: after a crash the notification is tried again this much later, ms. */
const CLAIM = 120_000;
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** Pauses after each failed try, ms, as Standard Webhooks recommends; after the last it is given up. */
const PAUSES = [5_000, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR];

/** After so many failed tries: the pause before the next, with jitter of a tenth; undefined = no more. `random` in [0, 1). */
export function pauseAfter(failed: number, random: number): number | undefined {
  const pause = PAUSES[failed - 1];
  return pause === undefined ? undefined : Math.round(pause * (0.95 + random / 10));
}

/**
 * Sends the notifications whose time has come, and gives their number. Any number of processes may do this at once:
 * each is claimed by one. It arrives once or, where a process dies between sending and noting it, twice with the same
 * id. What is under way when `stopping` aborts is left to the next round.
 */
export async function deliverNotifications(
  services: Services,
  telling: Telling,
  stopping?: AbortSignal,
): Promise<number> {
  const claimed: NotificationDoc[] = [];
  for (let left = AT_ONCE; left > 0; left -= 1) {
    if (stopping?.aborted) break;
    const one = await claim(services);
    if (!one) break;
    claimed.push(one);
  }
  await Promise.all(claimed.map((one) => deliver(services, telling, one, stopping)));
  return claimed.length;
}

function claim({ store, clock }: Services): Promise<NotificationDoc | null> {
  const now = clock.now();
  return store.notifications.findOneAndUpdate(
    { nextAt: { $lte: now } },
    { $set: { nextAt: new Date(now.getTime() + CLAIM) } },
    { sort: { nextAt: 1 }, returnDocument: 'after' },
  );
}

async function deliver(
  services: Services,
  telling: Telling,
  one: NotificationDoc,
  stopping: AbortSignal | undefined,
): Promise<void> {
  const { store, clock, log } = services;
  const { _id, nextAt: claimed, feed, event, channel } = one;
  const end = (set: Partial<NotificationDoc>) => store.notifications.updateOne({ _id, nextAt: claimed }, { $set: set });
  try {
    await send(services, telling, one, stopping);
    const now = clock.now();
    await end({ nextAt: null, deliveredAt: now, endedAt: now });
    log.info({ feed, event, channel }, 'notification delivered');
  } catch (error) {
    const now = clock.now();
    if (stopping?.aborted) {
      await end({ nextAt: now });
      return;
    }
    const tries = [...one.tries, { at: now, message: reason(error) }];
    const gone = error instanceof WebhookRefused && error.status === 410;
    const pause = gone ? undefined : pauseAfter(tries.length, Math.random());
    log.warn({ feed, event, channel, tries: tries.length, left: pause !== undefined }, 'notification not delivered');
    await end({
      tries,
      ...(pause === undefined ? { nextAt: null, endedAt: now } : { nextAt: new Date(now.getTime() + pause) }),
    });
  }
}

/** By what the feed's settings say now: a mistyped address that was mended is used by the next try. */
async function send(
  { store, clock }: Services,
  telling: Telling,
  one: NotificationDoc,
  stopping: AbortSignal | undefined,
): Promise<void> {
  const { _id, feed, run, channel } = one;
  const message = one.message as Message;
  const doc = await readFeedDoc(store, feed);
  const notify = doc ? settingsOf(doc).notify : undefined;
  const link = `${telling.url}/runs/${run}`;
  if (channel === 'email' && notify?.email) {
    await sendMail(telling, { id: _id, to: notify.email, ...mailOf(message, link) }, stopping);
  } else if (channel === 'webhook' && notify?.webhook !== undefined) {
    const body = JSON.stringify({ ...message, data: { ...message.data, link } });
    const secret = webhookSecret(feed, notify.secret, telling.secret);
    await postWebhook(notify.webhook, body, webhookHeaders(secret, _id, clock.now(), body), telling, stopping);
  }
  // The feed wants it no more: nobody is told.
}

/** Without what a server said: answers of mail servers repeat addresses. */
function reason(error: unknown): string {
  const { code, name, message } = error as Error & { code?: string };
  if (error instanceof WebhookRefused || code === 'private-address' || code === 'no-mail-server') return message;
  if (name === 'TimeoutError' || name === 'AbortError') return 'no answer in time';
  // What nodemailer calls it when there is no connection; the text names the system's error.
  const [system] = (code === 'ESOCKET' && /\bE[A-Z]{4,}\b/.exec(message)) || [];
  return system ?? code ?? name;
}
