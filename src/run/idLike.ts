import { UsageError } from '../domain/errors.ts';
import { looksLikeId } from '../domain/ids.ts';

/** @throws {UsageError} where an External ID could be taken for the id that output shows of what has none. */
export function refuseIdLike(externalId: string | undefined): void {
  if (externalId === undefined || !looksLikeId(externalId)) return;
  throw new UsageError(
    `${externalId} is how Muster names what has no External ID, so it cannot be one; nothing was changed. Choose another.`,
  );
}
