import { describe, expect, test } from 'vitest';
import { isPublic, PrivateAddress, publicLookup, refusePrivate } from '../../../src/notify/addresses.ts';

describe('webhooks stay out of this machine and its networks', () => {
  test.each([
    '127.0.0.1',
    '10.1.2.3',
    '172.31.255.255',
    '192.168.0.1',
    '169.254.169.254',
    '100.64.0.1',
    '0.0.0.0',
    '224.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::ffff:127.0.0.1',
    '::ffff:10.0.0.1',
    '64:ff9b::a00:1',
    'fe80::1',
    'fd00::1',
    'ff02::1',
    '2002:7f00:1::',
    '2001:db8::1',
    'no address',
  ])('%s is not public', (address) => {
    expect(isPublic(address)).toBe(false);
  });

  test.each(['1.1.1.1', '172.32.0.1', '100.128.0.1', '223.255.255.255', '2606:4700::1111', '2a00:1450::1'])(
    '%s is public',
    (address) => {
      expect(isPublic(address)).toBe(true);
    },
  );

  test.each([
    'http://127.0.0.1/',
    'http://2130706433/',
    'http://0x7f.1/',
    'http://[::1]:80/',
    'http://[::ffff:7f00:1]/',
  ])('%s is refused as it stands', (url) => {
    expect(() => refusePrivate(new URL(url))).toThrow(PrivateAddress);
  });

  test('a name that leads there is refused when it is looked up for the connection', async () => {
    const error = await new Promise((resolve) => {
      publicLookup('localhost', { all: true }, (error, found) => resolve(error ?? found));
    });
    expect(error).toBeInstanceOf(PrivateAddress);
  });
});
