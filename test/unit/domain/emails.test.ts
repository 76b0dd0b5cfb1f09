import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { refusedEmails } from '../../../src/domain/emails.ts';

/** People by name: `holds` an address now, `says` another in this run (nothing: the feed does not name the person). */
type People = Record<string, { holds?: string; says?: string }>;

function refused(people: People): string[] {
  const holderOf = (address: string) => Object.keys(people).find((name) => people[name]?.holds === address);
  const wanted = new Map(
    Object.entries(people).flatMap(([name, { holds, says }]) => {
      const holder = says === undefined || says === holds ? undefined : holderOf(says);
      return holder && holder !== name ? [[name, { wants: says as string, holder }] as const] : [];
    }),
  );
  const gives = (name: string) => {
    const says = people[name]?.says;
    return says === undefined ? undefined : { claimant: name, says };
  };
  return [...refusedEmails(wanted, gives)].sort();
}

describe('R12: an e-mail address that another learner holds', () => {
  test('is refused where the holder keeps it or is not named', () => {
    expect(refused({ ann: { holds: 'a', says: 'b' }, bo: { holds: 'b', says: 'b' } })).toEqual(['ann']);
    expect(refused({ ann: { holds: 'a', says: 'b' }, bo: { holds: 'b' } })).toEqual(['ann']);
  });

  test('is given where the holder takes another in the same run', () => {
    expect(refused({ ann: { says: 'b' }, bo: { holds: 'b', says: 'c' } })).toEqual([]);
    expect(refused({ ann: { says: 'b' }, bo: { holds: 'b', says: '' } })).toEqual([]);
  });

  test('two people may swap, and three may turn in a circle', () => {
    expect(refused({ ann: { holds: 'a', says: 'b' }, bo: { holds: 'b', says: 'a' } })).toEqual([]);
    expect(
      refused({ a: { holds: '1', says: '2' }, b: { holds: '2', says: '3' }, c: { holds: '3', says: '1' } }),
    ).toEqual([]);
  });

  test('a chain falls as a whole where its end does', () => {
    const chain = { a: { holds: '1', says: '2' }, b: { holds: '2', says: '3' }, c: { holds: '3', says: '4' } };
    expect(refused({ ...chain, d: { holds: '4', says: '5' } })).toEqual([]);
    expect(refused({ ...chain, d: { holds: '4', says: '4' } })).toEqual(['a', 'b', 'c']);
  });

  test('whoever is not refused can have the address: nobody ends with one that another has', () => {
    const anyPeople = fc
      .tuple(
        fc.shuffledSubarray(['1', '2', '3', '4', '5'], { minLength: 5 }),
        fc.array(fc.option(fc.constantFrom('1', '2', '3', '4', '5', ''), { nil: undefined }), {
          minLength: 5,
          maxLength: 5,
        }),
      )
      .map(
        ([holds, says]): People =>
          Object.fromEntries(
            holds.map((one, at) => [`p${at}`, { holds: one, ...(says[at] !== undefined && { says: says[at] }) }]),
          ),
      )
      .filter((people) => {
        const asked = Object.values(people).flatMap(({ says }) => says || []);
        return new Set(asked).size === asked.length;
      });
    fc.assert(
      fc.property(anyPeople, (people) => {
        const out = new Set(refused(people));
        const ends = Object.entries(people).flatMap(
          ([name, { holds, says }]) => (out.has(name) ? holds : (says ?? holds)) || [],
        );
        expect(new Set(ends).size).toBe(ends.length);
      }),
    );
  });
});
