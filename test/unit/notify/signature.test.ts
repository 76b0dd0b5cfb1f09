import { describe, expect, test } from 'vitest';
import { webhookHeaders, webhookSecret } from '../../../src/notify/signature.ts';

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

  test("a feed's key is its own, or derived from MUSTER_SECRET for it alone; without both there is no signature", () => {
    const muster = 'm'.repeat(32);
    expect(webhookSecret('hr', 'whsec_own', muster)).toBe('whsec_own');
    const derived = webhookSecret('hr', undefined, muster) ?? '';
    expect(Buffer.from(derived.replace('whsec_', ''), 'base64')).toHaveLength(32);
    expect(webhookSecret('hr', undefined, muster)).toBe(derived);
    expect(webhookSecret('other', undefined, muster)).not.toBe(derived);
    expect(webhookSecret('hr', undefined, 'n'.repeat(32))).not.toBe(derived);
    expect(webhookSecret('hr', undefined, undefined)).toBeUndefined();
    expect(webhookHeaders(undefined, 'id', new Date(0), '')).not.toHaveProperty('webhook-signature');
  });
});
