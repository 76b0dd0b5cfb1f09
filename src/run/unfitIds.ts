import { UsageError } from '../domain/errors.ts';
import { CONTROL, looksLikeId } from '../domain/ids.ts';

/** Why no External ID can be like this; undefined where it can. Feeds reject the same. */
export function unfitId(externalId: string): string | undefined {
  if (looksLikeId(externalId)) return `${externalId} is how Muster names what has no External ID, so it cannot be one`;
  if (CONTROL.test(externalId)) return 'An External ID holds no control character or line break';
  return undefined;
}

/** @throws {UsageError} */
export function refuseUnfitId(externalId: string | undefined): void {
  const why = externalId === undefined ? undefined : unfitId(externalId);
  if (why !== undefined) throw new UsageError(`${why}; nothing was changed. Choose another.`);
}
