import { type CourseId, type ExternalId, emailKey, externalId, type LearnerId } from '../domain/ids.ts';
import type { Learner } from '../domain/learner.ts';
import type { Course, Group, Structure } from '../domain/structure.ts';
import { learnersByEmail, learnersByExternalId, learnersById } from '../store/learners.ts';
import type { Store } from '../store/store.ts';

/** A group by its External ID, or `id:N`. */
export function findGroup(structure: Structure, text: string): Group | undefined {
  const id = externalId(text);
  return (id && structure.byExternalId(id)) ?? structure.group(numberOf(text) as never);
}

/** Courses by External ID, or `id:N`; undefined for what is unknown. */
export function findCourses(courses: ReadonlyMap<CourseId, Course>, texts: readonly string[]): (Course | undefined)[] {
  const byExternalId = new Map([...courses.values()].flatMap((one) => (one.externalId ? [[one.externalId, one]] : [])));
  return texts.map((text) => {
    const id = externalId(text);
    return (id && byExternalId.get(id)) ?? courses.get(numberOf(text) as CourseId);
  });
}

const CHUNK = 5_000;

/** Learners by what each is called by: External ID first, then `id:N`, then e-mail address. Unknown ones are left out. */
export async function findLearners(store: Store, texts: readonly string[]): Promise<Map<string, Learner>> {
  const found = new Map<string, Learner>();
  for (let at = 0; at < texts.length; at += CHUNK) {
    const some = texts.slice(at, at + CHUNK);
    const byExternalId = await learnersByExternalId(
      store,
      some.flatMap((text) => externalId(text) ?? []),
    );
    const ids = some.flatMap((text) => numberOf(text) ?? []) as LearnerId[];
    const byId = ids.length > 0 ? await learnersById(store, ids) : new Map<LearnerId, Learner>();
    const emails = some.filter((text) => text.includes('@'));
    const byEmail = emails.length > 0 ? await learnersByEmail(store, emails) : new Map<string, Learner>();
    for (const text of some) {
      const learner =
        byExternalId.get(externalId(text) as ExternalId) ??
        byId.get(numberOf(text) as LearnerId) ??
        byEmail.get(emailKey(text));
      if (learner) found.set(text, learner);
    }
  }
  return found;
}

/** `id:12` → 12. */
export function numberOf(text: string): number | undefined {
  const digits = /^id:([1-9][0-9]{0,14})$/.exec(text.trim())?.[1];
  return digits === undefined ? undefined : Number(digits);
}
