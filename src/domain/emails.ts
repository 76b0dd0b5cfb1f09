/** One claim that wants an e-mail address which another stored learner holds (R12). Keys are `emailKey`s. */
export interface Wanted<Id> {
  readonly wants: string;
  readonly holder: Id;
}

/**
 * Which claims may not have the address they ask for: those whose holder does not give it up in the same run.
 * A holder gives its address up where its own claim, if that is not refused itself, says another one; so two
 * people may swap, and a chain holds or falls as a whole (R12).
 *
 * @param wanted by claimant: the address wanted and who holds it now.
 * @param gives by holder: the claimant key under which the holder's own claim stands, and the address it says.
 */
export function refusedEmails<Key, Id>(
  wanted: ReadonlyMap<Key, Wanted<Id>>,
  gives: (holder: Id) => { claimant: Key; says: string } | undefined,
): Set<Key> {
  const refused = new Set<Key>();
  for (let settled = false; !settled; ) {
    settled = true;
    for (const [key, { wants, holder }] of wanted) {
      if (refused.has(key)) continue;
      const own = gives(holder);
      if (own && own.says !== wants && !refused.has(own.claimant)) continue;
      refused.add(key);
      settled = false;
    }
  }
  return refused;
}
