import { rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import type { SourceName } from '../domain/ids.ts';
import { needsFile, RUN_STATES } from '../domain/run.ts';
import type { Store } from '../store/store.ts';

/**
 * Removes the copies of standard input on this host that no run will read any more: of at most so many runs, whose
 * number it gives. Uploads, which all hosts share, are swept where they are taken.
 */
export async function dropCopies(store: Store, most: number, feed?: SourceName): Promise<number> {
  const runs = await store.runs
    .find({
      ...(feed !== undefined && { feed }),
      'source.temporary': true,
      'source.host': hostname(),
      'source.path': { $exists: true },
      $or: [{ state: { $in: RUN_STATES.filter((state) => !needsFile(state, false)) } }, PREVIEWED],
    })
    .limit(most)
    .toArray();
  for (const { _id, source } of runs) {
    const path = source.path as string;
    // A plan that is made again is made from the same copy.
    const others = await store.runs.find({ 'source.path': path }, { projection: { state: 1, preview: 1 } }).toArray();
    const isNeeded = others.some(({ state, preview }) => needsFile(state, preview));
    if (!isNeeded) await rm(dirname(path), { recursive: true, force: true });
    await store.runs.updateOne({ _id }, { $unset: { 'source.path': '' } });
  }
  return runs.length;
}

const PREVIEWED = { state: 'planned', preview: true } as const;
