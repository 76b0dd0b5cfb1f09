import type { Env } from './env.ts';

/** How people are told of what happens to feeds. */
export interface Telling {
  /** Where the API is reached; begins the links. */
  readonly url: string;
  /** Keys of webhooks' signatures are derived from it where a feed has none of its own; else from one in the database. */
  readonly secret?: string;
  readonly smtpUrl?: string;
  readonly mailFrom: string;
  /** Webhooks may go to addresses of this machine and its private networks. */
  readonly allowPrivate: boolean;
}

export function tellingOf(env: Env): Telling {
  const { MUSTER_URL, HOST, PORT, MUSTER_SECRET, SMTP_URL, MAIL_FROM, MUSTER_ALLOW_PRIVATE_WEBHOOKS } = env;
  return {
    url: (MUSTER_URL ?? `http://${HOST.includes(':') ? `[${HOST}]` : HOST}:${PORT}`).replace(/\/+$/, ''),
    ...(MUSTER_SECRET !== undefined && { secret: MUSTER_SECRET }),
    ...(SMTP_URL !== undefined && { smtpUrl: SMTP_URL }),
    mailFrom: MAIL_FROM,
    allowPrivate: MUSTER_ALLOW_PRIVATE_WEBHOOKS,
  };
}
