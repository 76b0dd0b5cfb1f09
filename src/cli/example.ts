import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Company, makeCompany } from '../example/company.ts';
import { exampleFeed } from '../example/feed.ts';
import { writeNight } from '../example/write.ts';
import { sourceFile } from '../feed/sources/file.ts';
import { requestRun } from '../run/request.ts';
import { importStructure } from '../run/structureChange.ts';
import { readFeedFile } from '../settings/feed.ts';
import { saveFeed } from '../store/feeds.ts';
import type { RunDoc } from '../store/models.ts';
import type { Cli } from './cli.ts';
import { drive } from './driving.ts';

/** Learners of the example company. */
export const EXAMPLE_LEARNERS = 5_000;

/** The example environment: the company's groups, courses and links, and the feed `hr`. */
export async function makeExample(cli: Cli, file: string): Promise<Company> {
  const { services, store } = await cli.open();
  const company = makeCompany({ learners: EXAMPLE_LEARNERS });
  await importStructure(services, {
    groups: company.groups.map(({ externalId, name, parent }) => ({
      externalId,
      name,
      ...(parent !== null && { parent }),
      courses: company.links.filter(({ group }) => group === externalId).map(({ course }) => course),
    })),
    courses: company.courses,
    by: cli.by,
  });
  const text = exampleFeed(file);
  await saveFeed(store, text, readFeedFile(text, 'the example feed'), 'database');
  return company;
}

/** Writes one night's file of the company and imports it. */
export async function importNight(cli: Cli, company: Company, night: number, file: string): Promise<RunDoc> {
  const { services } = await cli.open();
  await mkdir(join(file, '..'), { recursive: true });
  await writeNight(file, company, { night });
  const { name, path, bytes } = await sourceFile(file);
  const run = await requestRun(services, {
    feed: 'hr',
    mode: 'full',
    preview: false,
    approve: false,
    by: cli.by,
    source: { name: `night ${night}, ${name}`, path, bytes },
  });
  return drive(cli, run, await sourceFile(file));
}
