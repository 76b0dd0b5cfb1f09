import { createHash } from 'node:crypto';
import type { CourseId, GroupId } from '../domain/ids.ts';
import type { LearnerDoc } from '../store/models.ts';
import type { Store } from '../store/store.ts';
import { readCourses, readStructure } from '../store/structure.ts';
import { readProgress, readSubscriptions } from '../store/subscriptions.ts';

/**
 * One SHA-256 over all facts in canonical order (interface.md, `muster digest`): learners, groups, links, memberships
 * with sources and windows, grants, subscriptions, progress. No ids, times of writing or run data, so that equal facts
 * give equal digests whatever way they came about. Learners are taken in order of External ID, then e-mail.
 */
export async function digest(store: Store): Promise<string> {
  const hash = createHash('sha256');
  const line = (...parts: unknown[]) => hash.update(`${JSON.stringify(parts)}\n`);
  const structure = await readStructure(store);
  const courses = await readCourses(store);
  const courseName = (id: CourseId) => courses.get(id)?.externalId ?? `(${courses.get(id)?.name ?? '?'})`;
  const groupName = (id: GroupId) => structure.group(id)?.externalId ?? pathOf(id);
  const pathOf = (id: GroupId) =>
    structure
      .above(id)
      .map((group) => structure.group(group)?.name ?? '?')
      .reverse()
      .join('/');

  for (const course of [...courses.values()].map(({ id, name }) => [courseName(id), name]).sort(byText))
    line('course', course);
  const groups = [...structure.groups].map((group) => [
    groupName(group.id),
    group.name,
    group.parent ? groupName(group.parent) : null,
    [...group.instructors].sort(),
    [...group.subenvironments].sort(),
    group.courses.map(courseName).sort(),
  ]);
  for (const group of groups.sort(byText)) line('group', group);

  let chunk: LearnerDoc[] = [];
  for await (const learner of store.learners.find().sort({ externalId: 1, emailKey: 1, _id: 1 })) {
    chunk.push(learner);
    if (chunk.length === CHUNK) await write();
  }
  await write();
  return hash.digest('hex');

  async function write(): Promise<void> {
    const ids = chunk.map(({ _id }) => _id);
    const [held, results] = [await readSubscriptions(store, ids), await readProgress(store, ids)];
    for (const learner of chunk) {
      line(
        'learner',
        learner.externalId ?? null,
        learner.email ?? null,
        learner.firstName ?? null,
        learner.lastName ?? null,
        learner.status,
        Object.entries(learner.attributes).sort(byText),
        learner.memberships
          .map(({ group, sources }) => [
            groupName(group),
            sources
              .map(({ source, from, until }) => [source, from?.toISOString() ?? null, until?.toISOString() ?? null])
              .sort(byText),
          ])
          .sort(byText),
      );
      const items = held.get(learner._id)?.items ?? [];
      if (items.length > 0) {
        line(
          'subscriptions',
          items.map(({ course, status, direct }) => [courseName(course), status, direct]).sort(byText),
        );
      }
      const progress = (results.get(learner._id) ?? []).map(({ _id, completion, score, activities }) => [
        courseName(_id.course),
        completion,
        score ?? null,
        activities.map(({ name, completion: done, score: got }) => [name, done ?? null, got ?? null]).sort(byText),
      ]);
      if (progress.length > 0) line('progress', progress.sort(byText));
    }
    chunk = [];
  }
}

const CHUNK = 1000;

function byText(a: unknown, b: unknown): number {
  const [left, right] = [JSON.stringify(a), JSON.stringify(b)];
  return left < right ? -1 : left > right ? 1 : 0;
}
