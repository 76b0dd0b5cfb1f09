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

  test('one that is written with escapes, or elsewhere under an anchor, is hidden too', () => {
    const escaped = json(SECRET).replaceAll('whsec_', 'wh\\u0073ec_');
    expect(redacted(escaped)).toBe(json(REDACTED));
    const aliased = (secret: string) =>
      `learner: { attributes: { a: &s ${secret} } }\nnotify: { webhook: https://example.org, secret: *s }\n`;
    expect(redacted(aliased(SECRET))).toBe(aliased(REDACTED));
  });

  test('what stands for one is a text like any other where no secret stands', () => {
    const asked = (secret: string) =>
      `name: hr\nlearner: { externalId: "${REDACTED}" }\nnotify: { webhook: https://example.org, secret: ${secret} }\n`;
    expect(withSecrets(asked(REDACTED), yaml(SECRET))).toBe(asked(SECRET));
  });

  test.each([
    ['the secret', `learner: { externalId: *s }\nnotify: { webhook: https://example.org, secret: &s ${REDACTED} }\n`],
    ['what it stands in', `notify: &n { secret: ${REDACTED} }\nlearner: { attributes: *n }\n`],
    ['all of it', `&a\nnotify: { secret: ${REDACTED} }\nlearner: *a\n`],
    ['an alias', `learner: { externalId: &s ${REDACTED} }\nnotify: { secret: *s }\n`],
  ])('no secret is put where an anchor would bear it elsewhere: %s', (_, text) => {
    expect(() => withSecrets(text, yaml(SECRET))).toThrow('nothing was changed');
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
