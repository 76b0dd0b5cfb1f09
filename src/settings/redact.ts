import { isMap, parseDocument } from 'yaml';
import { UsageError } from '../domain/errors.ts';

/** What stands for a secret where a feed's text is shown. */
export const REDACTED = '••••';

/** The text of a feed as it may be shown: its secrets are hidden. */
export function redacted(text: string): string {
  const secret = secretIn(text);
  return secret === undefined ? text : text.replaceAll(secret, REDACTED);
}

/**
 * A text that was shown and comes back, with what was hidden in it as it was stored. @throws {UsageError} where
 * nothing is stored that could stand there.
 */
export function withSecrets(text: string, stored: string | undefined): string {
  if (secretIn(text) !== REDACTED) return text;
  const secret = stored === undefined ? undefined : secretIn(stored);
  if (secret === undefined) {
    throw new UsageError(
      `notify.secret is ${REDACTED}, which hides a secret, and the feed has none that could stand there; nothing was changed. Write the secret, or take the line out.`,
    );
  }
  return text.replaceAll(REDACTED, secret);
}

/** The feed that a text names, whether or not it can be used. */
export function nameIn(text: string): string | undefined {
  const { contents } = parseDocument(text);
  const name: unknown = isMap(contents) ? contents.get('name') : undefined;
  return typeof name === 'string' ? name : undefined;
}

function secretIn(text: string): string | undefined {
  const document = parseDocument(text);
  if (document.errors.length > 0 || !isMap(document.contents)) return undefined;
  const secret: unknown = document.getIn(['notify', 'secret']);
  return typeof secret === 'string' && secret !== '' ? secret : undefined;
}
