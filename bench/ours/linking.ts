import type { CourseId, ExternalId, GroupId } from '../../src/domain/ids.ts';
import { addCourse, createGroup, linkCourses, unlinkCourses } from '../../src/run/structureChange.ts';
import { readStructure } from '../../src/store/structure.ts';
import type { Cast, Muster } from '../cast.ts';
import { peakMemory } from '../measure.ts';
import type { Answer } from '../tasks.ts';

const GROUP = 'bench-members' as ExternalId;

/**
 * Links a course to a group of so many members, or unlinks the last one with `expire`, to the last subscription. The
 * group is filled beforehand, and that is not counted. `figures.run` is the number of the run.
 */
export async function linking(
  cast: Cast,
  { database, members, link }: { database: string; members: number; link: boolean },
): Promise<Answer> {
  const muster = await cast.muster(database);
  const { context } = muster;
  const group = await groupOf(muster, members);
  const meter = cast.meter();
  if (link) {
    const course = await addCourse(context, { name: `Bench ${Date.now()}`, by: 'bench' });
    const { run } = await meter.time(() => linkCourses(context, { group, courses: [course], by: 'bench' }));
    return { ...meter.cost, peak: peakMemory(), figures: { run: Number(run.slice(1)) } };
  }
  const linked = (await readStructure(context.store)).group(group)?.courses ?? [];
  const course = linked.at(-1) as CourseId;
  const { run } = await meter.time(() =>
    unlinkCourses(context, { group, courses: [course], option: 'expire', by: 'bench' }),
  );
  return { ...meter.cost, peak: peakMemory(), figures: { run: Number(run.slice(1)) } };
}

async function groupOf({ context }: Muster, members: number): Promise<GroupId> {
  const { store } = context;
  const found = (await readStructure(store)).byExternalId(GROUP);
  if (found) return found.id;
  const group = await createGroup(context, { name: 'Bench', externalId: GROUP, by: 'bench' });
  await store.learners.updateMany(
    { _id: { $lte: members as never } },
    { $push: { memberships: { group, sources: [{ source: 'manual' }] } } },
  );
  return group;
}
