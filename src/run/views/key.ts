import type { ExternalId } from '../../domain/ids.ts';

/** What output calls a learner, group or course by: the External ID, else `id:N`. Usable as an argument. */
export function keyOf(thing: { readonly externalId?: ExternalId; readonly id: number }): string {
  return thing.externalId ?? `id:${thing.id}`;
}

/** The key of one of these, or `id:N` of what is there no more. */
export function keyIn(
  things: ReadonlyMap<number, { readonly externalId?: ExternalId; readonly id: number }>,
  id: number,
): string {
  const thing = things.get(id);
  return thing ? keyOf(thing) : `id:${id}`;
}
