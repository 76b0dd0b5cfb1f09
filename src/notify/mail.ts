import { createTransport } from 'nodemailer';
import { MusterError } from '../domain/errors.ts';
import type { Telling } from '../settings/telling.ts';

/** How long the mail server may take, ms. */
const DEADLINE = 30_000;

/** A feed or report names an address, and there is no server that takes mail. */
export class NoMailServer extends MusterError {
  readonly code = 'no-mail-server';
  constructor() {
    super(
      'SMTP_URL is not set, so no mail is sent. Set it to the mail server, like smtp://user:password@mail.example.org:587.',
    );
  }
}

export interface Mail {
  /** Makes the Message-ID: a mail server that has it already may drop the second. */
  readonly id: string;
  readonly to: readonly string[];
  readonly subject: string;
  readonly text: string;
  readonly attachment?: { readonly name: string; readonly type: string; readonly content: Uint8Array };
}

/**
 * Hands a mail to the server of SMTP_URL, and gives how many of its addresses the server refused. @throws {NoMailServer},
 * and what the server or the network has against it, or against all addresses.
 */
export async function sendMail(
  { smtpUrl, mailFrom }: Telling,
  { id, to, subject, text, attachment }: Mail,
  stopping?: AbortSignal,
): Promise<number> {
  if (smtpUrl === undefined) throw new NoMailServer();
  const late = AbortSignal.timeout(DEADLINE);
  const transport = createTransport({
    url: smtpUrl,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  try {
    const { rejected } = await transport.sendMail({
      from: mailFrom,
      to: [...to],
      subject,
      text,
      ...(attachment && {
        attachments: [
          { filename: attachment.name, contentType: attachment.type, content: Buffer.from(attachment.content) },
        ],
      }),
      messageId: `<${id}@muster.invalid>`,
      headers: { 'Auto-Submitted': 'auto-generated' },
      signal: stopping ? AbortSignal.any([late, stopping]) : late,
    });
    return rejected.length;
  } finally {
    transport.close();
  }
}
