import { describe, expect, test } from 'vitest';
import { readFeedFile } from '../../../src/settings/feed.ts';

const read = (notify: string) => readFeedFile(`name: hr\nlearner: { externalId: Id }\nnotify: ${notify}\n`, 'hr.yaml');

describe('notify', () => {
  test('takes a webhook, one e-mail address or several; all is told where `on` does not choose', () => {
    expect(read('{ webhook: "https://example.org/hook" }').notify).toEqual({
      webhook: 'https://example.org/hook',
      on: ['held', 'failed', 'rejected-rows', 'quarantine', 'recovered'],
    });
    expect(read('{ email: hr@example.org, on: [held] }').notify).toEqual({ email: ['hr@example.org'], on: ['held'] });
    expect(read('{ email: [a@example.org, b@example.org] }').notify?.email).toHaveLength(2);
    const secret = `whsec_${Buffer.alloc(24, 7).toString('base64')}`;
    expect(read(`{ webhook: "https://example.org", secret: ${secret} }`).notify?.secret).toBe(secret);
  });

  test.each([
    ['{ on: [held] }', 'notify must name a webhook, an email, or both'],
    ['{ email: nobody }', 'notify.email[0] is no e-mail address'],
    ['{ email: [] }', 'notify.email must name an address'],
    ['{ email: hr@example.org, on: [rejected] }', 'possible are held, failed, rejected-rows, quarantine, recovered'],
    [
      '{ email: hr@example.org, webhok: "https://example.org" }',
      'notify.webhok is not a known key. Did you mean `webhook`?',
    ],
    ['{ email: hr@example.org, secret: whsec_c2hvcnQ= }', 'notify.secret must be whsec_ and 24 to 64 bytes in Base64'],
    [`{ email: hr@example.org, secret: whsec_${'A'.repeat(32)} }`, 'notify.secret belongs to webhook only'],
    ['{ webhook: "http://x", secret: secret }', 'notify.secret must be whsec_'],
  ])('%s is refused: %s', (notify, reason) => {
    expect(() => read(notify)).toThrow(reason);
  });
});
