import { describe, expect, test } from 'vitest';
import { derivedSecret, webhookHeaders } from '../../../src/notify/signature.ts';

describe('signatures of webhooks', () => {
  test('are those of Standard Webhooks: the example of its documentation', () => {
    const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
    const at = new Date(1_614_265_330_000);
    expect(webhookHeaders(secret, 'msg_p5jXN8AQM9LWM0D4loKWxJek', at, '{"test": 2432232314}')).toEqual({
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    });
  });

  test("a feed's key is derived for it alone", () => {
    const muster = 'm'.repeat(32);
    const derived = derivedSecret('hr', muster);
    expect(Buffer.from(derived.replace('whsec_', ''), 'base64')).toHaveLength(32);
    expect(derivedSecret('hr', muster)).toBe(derived);
    expect(derivedSecret('other', muster)).not.toBe(derived);
    expect(derivedSecret('hr', 'n'.repeat(32))).not.toBe(derived);
  });
});
