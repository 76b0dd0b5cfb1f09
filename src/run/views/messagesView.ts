import { settingsOf } from '../../store/feeds.ts';
import type { Delivery } from '../../store/models.ts';
import type { Services } from '../../store/services.ts';
import type { Store } from '../../store/store.ts';

/** One thing that was looked at, and what is to be done where it is not well. */
export interface Finding {
  readonly name: string;
  readonly ok: boolean;
  readonly found: string;
  readonly remedy?: string;
}

const NAME = 'messages';

/**
 * Whether people hear of what happens to feeds, and receive their reports: of each feed and channel, and of each report,
 * what became of the last message. One that arrived makes good those before it. `mails`: is there a server that takes mail?
 */
export async function messages({ store }: Pick<Services, 'store'>, mails: boolean): Promise<Finding[]> {
  const wanted = await wantedMessages(store);
  if (wanted.length === 0)
    return [{ name: NAME, ok: true, found: 'no feed asks for any (`notify`), and no report is sent' }];
  const findings: Finding[] = [];
  const unmailed = mails ? undefined : wanted.find(({ byMail }) => byMail);
  if (unmailed) {
    findings.push({
      name: NAME,
      ok: false,
      found: `${unmailed.what} asks for mail, and SMTP_URL is not set`,
      remedy: 'Set SMTP_URL to the server that takes mail.',
    });
  }
  for (const { what, last } of wanted) {
    const wrong = last && wrongWith(last);
    if (wrong)
      findings.push({ name: NAME, ok: false, found: `the last of ${what} ${wrong.found}`, remedy: wrong.remedy });
  }
  const asked = wanted.map(({ what }) => what).join(', ');
  return findings.length > 0 ? findings : [{ name: NAME, ok: true, found: `${asked}: none is late` }];
}

function wrongWith({
  deliveredAt,
  refused = 0,
  tries,
  nextAt,
}: Delivery): { found: string; remedy: string } | undefined {
  if (deliveredAt) {
    if (refused === 0) return undefined;
    return {
      found: `was refused by the mail server for ${refused} of its addresses`,
      remedy: 'Look for an address that is mistyped, or is no more.',
    };
  }
  const failed = tries.at(-1);
  if (!failed) return undefined;
  return {
    found: `could not be delivered: ${failed.message}`,
    remedy: nextAt
      ? 'See that the receiver can be reached. It is tried again by itself.'
      : 'It was given up. See that the receiver can be reached; the next one shows whether it is.',
  };
}

interface Wanted {
  readonly what: string;
  readonly byMail: boolean;
  readonly last: Delivery | null;
}

async function wantedMessages(store: Store): Promise<Wanted[]> {
  const wanted: Wanted[] = [];
  for (const doc of await store.feeds.find({ origin: { $ne: 'one-off' } }).toArray()) {
    const { email, webhook } = settingsOf(doc).notify ?? {};
    for (const channel of ['email', 'webhook'] as const) {
      if ((channel === 'email' ? email : webhook) === undefined) continue;
      const filter = { feed: doc._id, channel, ...TRIED };
      const last = await store.notifications.findOne(filter, { sort: { createdAt: -1 } });
      wanted.push({ what: `feed ${doc._id} by ${channel}`, byMail: channel === 'email', last });
    }
  }
  for (const { _id, name, settings } of await store.reports.find({ 'settings.send': { $exists: true } }).toArray()) {
    if (!settings.send) continue;
    const last = await store.sendings.findOne({ '_id.report': _id, ...TRIED }, { sort: { createdAt: -1 } });
    wanted.push({ what: `report ${name}`, byMail: true, last });
  }
  return wanted;
}

/** A message of which it is known whether it can be delivered. */
const TRIED = { $or: [{ deliveredAt: { $exists: true } }, { 'tries.0': { $exists: true } }] };
