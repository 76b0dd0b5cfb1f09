import { UsageError } from '../domain/errors.ts';
import { type Session, type Store, within } from './store.ts';

/** As names of subenvironments are stored and compared. */
export function subenvironmentName(text: string): string {
  return text.trim().normalize('NFC');
}

/**
 * The names as they are stored. `known`: those that stood there before; they stay, though nobody may have made them.
 * @throws {UsageError} for one that nobody has made: a slip in a name would make another subenvironment.
 */
export async function madeSubenvironments(
  store: Store,
  texts: readonly string[],
  { known = [], session }: { known?: readonly string[]; session?: Session } = {},
): Promise<string[]> {
  const names = [...new Set(texts.map(subenvironmentName))];
  const added = names.filter((name) => !known.includes(name));
  const made = await store.subenvironments.find({ _id: { $in: added } }, within(session)).toArray();
  const missing = added.find((name) => !made.some(({ _id }) => _id === name));
  if (missing === undefined) return names;
  throw new UsageError(
    `There is no subenvironment ${missing}; nothing was changed. Make it first: muster subenvironments create "${missing}".`,
  );
}
