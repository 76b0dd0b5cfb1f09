import { isAlias, isMap, isScalar, parseDocument } from 'yaml';
import { UsageError } from '../domain/errors.ts';

/** What stands for a secret where a feed's text is shown. */
export const REDACTED = '••••';

/** The text of a feed as it may be shown: its secrets are hidden. */
export function redacted(text: string): string {
  const secret = secretIn(text);
  if (!secret) return text;
  const hidden = text.replaceAll(secret.value, REDACTED);
  const left = secretIn(hidden);
  // Written with escapes: base64 has `/`, which JSON may have as `\/`.
  return !left || left.value === REDACTED ? hidden : replacedAt(left, hidden, () => `"${REDACTED}"`);
}

/**
 * A text that was shown and comes back, with what was hidden in it as it was stored: at `notify.secret` alone, which is
 * shown nowhere. @throws {UsageError} where nothing is stored that could stand there, or an anchor would bear it elsewhere.
 */
export function withSecrets(text: string, stored: string | undefined): string {
  const place = secretIn(text);
  if (place?.value !== REDACTED) return text;
  const secret = stored === undefined ? undefined : secretIn(stored)?.value;
  if (secret === undefined) {
    throw new UsageError(
      `notify.secret is ${REDACTED}, which hides a secret, and the feed has none that could stand there; nothing was changed. Write the secret, or take the line out.`,
    );
  }
  if (place.anchored) {
    throw new UsageError(
      `notify.secret is ${REDACTED}, which hides a secret, and an anchor (&) may repeat it elsewhere; nothing was changed. Write the secret, or take the anchor out.`,
    );
  }
  return replacedAt(place, text, (written) => written.replaceAll(REDACTED, secret));
}

/** The feed that a text names, whether or not it can be used. */
export function nameIn(text: string): string | undefined {
  const { contents } = parseDocument(text);
  const name: unknown = isMap(contents) ? contents.get('name') : undefined;
  return typeof name === 'string' ? name : undefined;
}

/** `notify.secret` of a feed's text. */
interface Secret {
  readonly value: string;
  /** Where it is written, quotes included: from, to. */
  readonly range: readonly [number, number];
  /** It, or what it stands in, has an anchor, so that an alias may stand for it. */
  readonly anchored: boolean;
}

function secretIn(text: string): Secret | undefined {
  const document = parseDocument(text);
  const { contents, errors } = document;
  if (errors.length > 0 || !isMap(contents)) return undefined;
  const resolved = (node: unknown) => (isAlias(node) ? node.resolve(document) : node);
  const notify = resolved(contents.get('notify', true));
  const secret = isMap(notify) ? resolved(notify.get('secret', true)) : undefined;
  if (!isMap(notify) || !isScalar(secret) || typeof secret.value !== 'string' || !secret.value) return undefined;
  const [from, to] = secret.range ?? [0, 0];
  const anchored = [contents, notify, secret].some(({ anchor }) => anchor !== undefined);
  return { value: secret.value, range: [from, to], anchored };
}

function replacedAt({ range: [from, to] }: Secret, text: string, by: (written: string) => string): string {
  return text.slice(0, from) + by(text.slice(from, to)) + text.slice(to);
}
