import { describe, expect, test } from 'vitest';
import { nameIn, REDACTED, redacted, withSecrets } from '../../../src/settings/redact.ts';

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const yaml = (secret: string) =>
  `# ours\nname: hr\nnotify:\n  webhook: https://example.org\n  secret: ${secret} # of 2026\n`;
const json = (secret: string) => JSON.stringify({ name: 'hr', notify: { webhook: 'https://example.org', secret } });

describe('secrets in the text of a feed', () => {
  test.each([
    ['YAML', yaml],
    ['JSON', json],
  ])('are hidden where it is shown, and kept where it comes back: %s', (_, text) => {
    expect(redacted(text(SECRET))).toBe(text(REDACTED));
    expect(withSecrets(text(REDACTED), text(SECRET))).toBe(text(SECRET));
    expect(withSecrets(text(REDACTED), json(SECRET))).toBe(text(SECRET));
    expect(withSecrets(text('whsec_new'), text(SECRET))).toBe(text('whsec_new'));
  });

  test('a text without one is shown as it is', () => {
    for (const text of ['name: hr\n', 'notify: { email: a@example.org }\n', '- no feed', '{ broken'])
      expect(redacted(text)).toBe(text);
  });

  test('what stands for one is refused where nothing is kept', () => {
    expect(() => withSecrets(yaml(REDACTED), undefined)).toThrow('Write the secret, or take the line out');
    expect(() => withSecrets(yaml(REDACTED), 'name: hr\n')).toThrow('nothing was changed');
  });

  test('a feed is known by its name before it is checked', () => {
    expect(nameIn('name: hr\nbroken: [')).toBe('hr');
    expect(nameIn('- no feed')).toBeUndefined();
    expect(nameIn('name: 12')).toBeUndefined();
  });
});
