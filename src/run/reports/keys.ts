import type { CourseId, GroupId } from '../../domain/ids.ts';
import type { Sight } from '../sight.ts';
import { keyOf } from '../views/key.ts';
import type { Field } from './fields.ts';

/** What cells say of groups or courses, and the place of each among all, as people order them. */
export interface Keys {
  readonly text: (id: number) => string | null;
  readonly places: ReadonlyMap<number, number>;
  /** What stands at a place. */
  readonly at: (place: number) => string | null;
}

const order = new Intl.Collator('en');

export function keysOf({ of, as }: NonNullable<Field['shows']>, sight: Sight): Keys {
  const things =
    of === 'group'
      ? [...sight.structure.groups].filter(({ id }) => sight.seesGroup(id))
      : [...sight.courses.values()].filter(({ id }) => sight.seesCourse(id));
  // Instructors are not told of subenvironments, not even by what they may see of a course (R29).
  const seen = (subenvironment: string | undefined) => (sight.groups === null ? (subenvironment ?? null) : null);
  const texts = new Map<number, string | null>(
    things.map((thing: { id: GroupId | CourseId; name: string; subenvironment?: string }) => [
      thing.id,
      as === 'key' ? keyOf(thing) : as === 'name' ? thing.name : seen(thing.subenvironment),
    ]),
  );
  const sorted = [...new Set([...texts.values()].filter((text) => text !== null))].sort(order.compare);
  const placeOf = new Map(sorted.map((text, at) => [text, at]));
  return {
    text: (id) => texts.get(id) ?? null,
    at: (place) => sorted[place] ?? null,
    places: new Map([...texts].flatMap(([id, text]) => (text === null ? [] : [[id, placeOf.get(text) as number]]))),
  };
}
