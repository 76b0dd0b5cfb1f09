import { z } from 'zod';
import { HttpProblem } from './problems.ts';

export const LIMIT = { default: 50, max: 1000 };

/** `?limit=&cursor=` of every list. */
export const Paging = z.strictObject({
  limit: z.coerce.number().int().min(1).max(LIMIT.max).default(LIMIT.default),
  cursor: z.string().max(2000).optional(),
});

/** One page of a list; `next` is the cursor of the one after it, null at the end. */
export function pageOf<T extends z.ZodType>(item: T) {
  return z.object({ items: z.array(item).readonly(), next: z.string().nullable() });
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly next: string | null;
}

export function encodeCursor(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

/** What a cursor holds. It comes from outside: its shape is checked like everything else. */
export function decodeCursor<T extends z.ZodType>(shape: T, cursor: string | undefined): z.output<T> | undefined {
  if (cursor === undefined) return undefined;
  try {
    return shape.parse(JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')));
  } catch {
    throw new HttpProblem(400, 'bad-cursor', 'The cursor is none that a list gave. Begin again without one.');
  }
}

/** A page of what is few and in memory, in the order of its keys. */
export function pageIn<T>(
  all: readonly T[],
  { limit, cursor }: z.output<typeof Paging>,
  keyOf: (item: T) => string,
): Page<T> {
  const after = decodeCursor(z.string(), cursor);
  const sorted = all.map((item) => ({ key: keyOf(item), item })).sort((a, b) => (a.key < b.key ? -1 : 1));
  const rest = after === undefined ? sorted : sorted.filter(({ key }) => key > after);
  const page = rest.slice(0, limit);
  const last = page.at(-1);
  return { items: page.map(({ item }) => item), next: rest.length > limit && last ? encodeCursor(last.key) : null };
}

/** A page of a list in memory whose order stands. */
export function pageOfList<T>(all: readonly T[], { limit, cursor }: z.output<typeof Paging>): Page<T> {
  const from = decodeCursor(z.number().int().min(0), cursor) ?? 0;
  const items = all.slice(from, from + limit);
  return { items, next: from + limit < all.length ? encodeCursor(from + limit) : null };
}

/** The first `limit` of what comes after `skip` items: for streams in a stable order that cannot be entered in the middle. */
export async function pageFrom<T>(
  items: AsyncIterable<T>,
  { limit, cursor }: z.output<typeof Paging>,
): Promise<Page<T>> {
  const skip = decodeCursor(z.number().int().min(0), cursor) ?? 0;
  let at = 0;
  const isWanted = () => {
    at += 1;
    return at > skip;
  };
  return firstOf(items, isWanted, limit, () => skip + limit);
}

/** Where an item stands in its list. */
export type Place = readonly (string | number)[];

/** The first `limit` of what stands behind a place: for streams in order of their places, from which items go meanwhile. */
export async function pageBehind<T>(
  items: AsyncIterable<T>,
  { limit, cursor }: z.output<typeof Paging>,
  placeOf: (item: T) => Place,
): Promise<Page<T>> {
  const after = decodeCursor(z.array(z.union([z.string(), z.number()])), cursor);
  const isWanted = (item: T) => !after || isBehind(placeOf(item), after);
  return firstOf(items, isWanted, limit, placeOf);
}

/** The first `limit` of those that are wanted. `cursorOf`: what the next page begins behind, from the last of this one. */
async function firstOf<T>(
  items: AsyncIterable<T>,
  isWanted: (item: T) => boolean,
  limit: number,
  cursorOf: (last: T) => unknown,
): Promise<Page<T>> {
  const page: T[] = [];
  for await (const item of items) {
    if (!isWanted(item)) continue;
    if (page.length === limit) return { items: page, next: encodeCursor(cursorOf(page.at(-1) as T)) };
    page.push(item);
  }
  return { items: page, next: null };
}

function isBehind(place: Place, other: Place): boolean {
  const differs = place.findIndex((part, at) => part !== other[at]);
  return differs >= 0 && (place[differs] as string) > (other[differs] ?? '');
}
