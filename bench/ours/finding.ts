import { openFeed } from '../../src/feed/reader.ts';
import { sourceFile } from '../../src/feed/sources/file.ts';
import { Addresses } from '../../src/run/addresses.ts';
import { loadTable } from '../../src/run/loadTable.ts';
import { readClaims } from '../../src/run/read.ts';
import { policyOf } from '../../src/settings/feed.ts';
import { readFeedDoc, settingsOf } from '../../src/store/feeds.ts';
import { externalIdsOf } from '../../src/store/learners.ts';
import { readStructure } from '../../src/store/structure.ts';
import type { Cast } from '../cast.ts';
import { peakMemory } from '../measure.ts';
import type { Answer } from '../tasks.ts';
import { FEED } from './importing.ts';

/** Finds and parses what changed since the last applied night, the state of that night loaded; plans and writes nothing. */
export async function finding(cast: Cast, { database, file }: { database: string; file: string }): Promise<Answer> {
  const { store } = (await cast.muster(database)).context;
  const feed = await readFeedDoc(store, FEED);
  if (!feed?.applied) throw new Error('No night was applied before.');
  const { applied } = feed;
  const settings = settingsOf(feed);
  const structure = await readStructure(store);
  const meter = cast.meter();
  const claims = await meter.time(async () => {
    const known = await loadTable(store, applied);
    const reading = await readClaims({
      reader: await openFeed(await sourceFile(file), settings),
      policy: policyOf(settings),
      structure,
      hashKey: Buffer.from(applied.hashKey, 'hex'),
      known,
      lookAgain: [],
      idsOf: (ids) => new Addresses(store).idsOf(ids),
      namesOf: (ids) => externalIdsOf(store, ids),
      newGroupIds: async () => [],
      contested: async () => [],
    });
    return reading.claims.size;
  });
  return { ...meter.cost, peak: peakMemory(), figures: { claims } };
}
