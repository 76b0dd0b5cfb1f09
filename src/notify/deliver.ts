import type { Telling } from '../settings/telling.ts';
import { readFeedDoc, settingsOf } from '../store/feeds.ts';
import type { NotificationDoc } from '../store/models.ts';
import type { Services } from '../store/services.ts';
import { deliverDue } from './due.ts';
import { sendMail } from './mail.ts';
import { type Message, mailOf } from './message.ts';
import { webhookHeaders, webhookSecret } from './signature.ts';
import { postWebhook, WebhookRefused } from './webhook.ts';

/** Sends the notifications whose time has come, as `deliverDue` does, and gives their number. */
export function deliverNotifications(services: Services, telling: Telling, stopping?: AbortSignal): Promise<number> {
  return deliverDue<NotificationDoc>(
    services,
    {
      noun: 'notification',
      collection: 'notifications',
      atOnce: 10,
      claim: 120_000,
      send: (one, stopped) => send(services, telling, one, stopped),
      isFinal: (error) => error instanceof WebhookRefused && error.status === 410,
      fields: ({ feed, event, channel }) => ({ feed, event, channel }),
    },
    stopping,
  );
}

/** By what the feed's settings say now: a mistyped address that was mended is used by the next try. */
async function send(
  { store, clock }: Services,
  telling: Telling,
  one: NotificationDoc,
  stopping: AbortSignal | undefined,
): Promise<object | undefined> {
  const { _id, feed, run, channel } = one;
  const message = one.message as Message;
  const doc = await readFeedDoc(store, feed);
  const notify = doc ? settingsOf(doc).notify : undefined;
  const link = `${telling.url}/api/v1/runs/${run}`;
  if (channel === 'email' && notify?.email) {
    return { refused: await sendMail(telling, { id: _id, to: notify.email, ...mailOf(message, link) }, stopping) };
  }
  if (channel === 'webhook' && notify?.webhook !== undefined) {
    const body = JSON.stringify({ ...message, data: { ...message.data, link } });
    const secret = await webhookSecret({ store }, feed, notify.secret, telling.secret);
    await postWebhook(notify.webhook, body, webhookHeaders(secret, _id, clock.now(), body), telling, stopping);
  }
  // Where the feed wants it no more, nobody is told.
  return undefined;
}
