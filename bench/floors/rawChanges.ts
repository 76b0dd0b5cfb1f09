import type { Store } from '../../src/store/store.ts';
import type { Cast } from '../cast.ts';
import { type Meter, peakMemory } from '../measure.ts';
import type { Answer } from '../tasks.ts';

const AT_ONCE = 1_000;

interface Doc {
  _id: unknown;
}
interface Target {
  bulkWrite(ops: unknown[], options: object): Promise<unknown>;
}

/**
 * Floor: the learners that a run changed, replaced by their documents as they are after it, in another database that
 * holds them already: raw `bulkWrite` in transactions of 1,000.
 */
export async function rawChanges(
  cast: Cast,
  { from, to, learners }: { from: string; to: string; learners: number },
): Promise<Answer> {
  const source = (await cast.muster(from)).context.store;
  const { store } = (await cast.fresh(to)).context;
  const docs = await source.learners.find({ _id: { $lte: learners as never } }).toArray();
  await fill(source, store, 'learners');
  const meter = cast.meter();
  await replaceAll(store, store.learners as never, docs, meter);
  return { ...meter.cost, peak: peakMemory(), figures: { documents: docs.length } };
}

/** Floor: as `rawChanges`, of the subscriptions that a link or its end changed, with the run's own plan and audit beside them. */
export async function rawLinks(
  cast: Cast,
  { from, to, run }: { from: string; to: string; run: string },
): Promise<Answer> {
  const source = (await cast.muster(from)).context.store;
  const { store } = (await cast.fresh(to)).context;
  const ofRun = { '_id.run': run };
  const batches = await source.batches.find(ofRun).toArray();
  const audit = await source.audit.find(ofRun).toArray();
  const ids = batches.flatMap(({ learners }) => learners ?? []);
  const docs = await source.subscriptions.find({ _id: { $in: ids } }).toArray();
  await fill(source, store, 'subscriptions');
  const meter = cast.meter();
  await meter.time(() => store.batches.insertMany(batches));
  await replaceAll(store, store.subscriptions as never, docs, meter);
  await meter.time(() => store.audit.insertMany(audit));
  return { ...meter.cost, peak: peakMemory(), figures: { documents: docs.length } };
}

/** All of Muster's documents are there before, each a little different: the floor's collection is as large as Muster's. */
async function fill(source: Store, target: Store, name: 'learners' | 'subscriptions'): Promise<void> {
  const out = { db: target.connection.name, coll: target[name].collectionName };
  await source[name].aggregate([{ $set: { revision: 0 } }, { $out: out }]).toArray();
}

async function replaceAll(
  { transaction }: { transaction: (work: (session: unknown) => Promise<unknown>) => Promise<unknown> },
  target: Target,
  docs: readonly Doc[],
  meter: Meter,
): Promise<void> {
  for (let at = 0; at < docs.length; at += AT_ONCE) {
    const some = docs.slice(at, at + AT_ONCE);
    await meter.time(() => {
      const ops = some.map((doc) => ({ replaceOne: { filter: { _id: doc._id }, replacement: doc } }));
      return transaction((session) => target.bulkWrite(ops, { session, ordered: false }));
    });
  }
}
