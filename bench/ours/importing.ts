import type { ExternalId } from '../../src/domain/ids.ts';
import { makeCompany } from '../../src/example/company.ts';
import { exampleFeed } from '../../src/example/feed.ts';
import { sourceFile } from '../../src/feed/sources/file.ts';
import { driveRun } from '../../src/run/drive.ts';
import { requestRun } from '../../src/run/request.ts';
import { importStructure } from '../../src/run/structureChange.ts';
import { readFeedFile } from '../../src/settings/feed.ts';
import { saveFeed } from '../../src/store/feeds.ts';
import type { Cast } from '../cast.ts';
import { peakMemory } from '../measure.ts';
import type { Answer } from '../tasks.ts';

export const FEED = 'hr';

/** Drops the database and makes the company's groups, courses and feed. */
export async function preparing(
  cast: Cast,
  { database, company }: { database: string; company: { learners: number; groups: number } },
): Promise<Answer> {
  const { context } = await cast.fresh(database);
  const { store } = context;
  const { groups, courses, links } = makeCompany({ seed: 1, ...company });
  const linked = new Map<ExternalId, ExternalId[]>();
  for (const { group, course } of links) linked.set(group, [...(linked.get(group) ?? []), course]);
  await importStructure(context, {
    courses,
    groups: groups.map(({ externalId, name, parent }) => ({
      externalId,
      name,
      ...(parent && { parent }),
      courses: linked.get(externalId) ?? [],
    })),
    by: 'bench',
  });
  const yaml = exampleFeed();
  await saveFeed(store, yaml, readFeedFile(yaml, 'bench'), 'database');
  return { wall: 0, node: 0, mongod: 0, redis: 0, peak: peakMemory() };
}

/** Changes a setting that touches nobody here, so that the rows of the last run are not compared with. */
export async function changingSettings(
  cast: Cast,
  { database, graceDays }: { database: string; graceDays: number },
): Promise<Answer> {
  const { context } = await cast.muster(database);
  const yaml = exampleFeed().replace('graceDays: 0', `graceDays: ${graceDays}`);
  await saveFeed(context.store, yaml, readFeedFile(yaml, 'bench'), 'database');
  return { wall: 0, node: 0, mongod: 0, redis: 0, peak: peakMemory() };
}

/** One night: from the file to the last subscription, workers and relay in this process, as `muster import` does it. */
export async function importing(cast: Cast, { database, file }: { database: string; file: string }): Promise<Answer> {
  const muster = await cast.muster(database);
  const { context } = muster;
  await muster.work();
  const meter = cast.meter();
  const run = await meter.time(async () => {
    const source = await sourceFile(file);
    const { name, path, bytes } = source;
    const queued = await requestRun(context, {
      feed: FEED,
      mode: 'full',
      preview: false,
      approve: true,
      by: 'bench',
      source: { name, path, bytes },
    });
    const drive = { services: context, queues: async () => context.queues, work: () => muster.work() };
    return driveRun(drive, queued, source);
  });
  if (run.state !== 'completed') throw new Error(`Run ${run._id} ended ${run.state}: ${JSON.stringify(run.error)}`);
  const stages = Object.fromEntries(run.stages.map(({ name, ms }) => [name, ms / 1000]));
  const { noChange, learners } = run.outcome as { noChange: boolean; learners: Record<string, number> };
  const changed = noChange
    ? 0
    : Object.values(learners).reduce((sum, count) => sum + count, 0) - (learners.unchanged ?? 0);
  return { ...meter.cost, peak: peakMemory(), stages, figures: { changed } };
}

/** Workers in this process beside those of another. */
export async function working(cast: Cast, { database }: { database: string }): Promise<Answer> {
  await (await cast.muster(database)).work();
  return { wall: 0, node: 0, mongod: 0, redis: 0, peak: peakMemory() };
}
